//! Threads that receive work from a channel, a simple pool without the gateway.

use tokio::sync::oneshot;

use crate::hop::Answer;

/// A job: the sender for its response.
type Order = oneshot::Sender<Answer>;

/// The sending half of a channel.
pub(crate) trait Line: Clone + Send + Sync + 'static {
    /// Starts threads that share the receiving half, and that end when the last sender is dropped.
    fn with_threads(threads: usize) -> Self;

    fn push(&self, order: Order);
}

fn work(orders: impl Iterator<Item = Order>) {
    for order in orders {
        // The receiver of the response may have been dropped.
        let _ = order.send(Answer::hello());
    }
}

macro_rules! line {
    ($name:ident, $channel:ident) => {
        pub(crate) type $name = $channel::Sender<Order>;

        impl Line for $name {
            fn with_threads(threads: usize) -> Self {
                let (sender, receiver) = $channel::unbounded();
                for _ in 0..threads {
                    let receiver = receiver.clone();
                    std::thread::spawn(move || work(receiver.into_iter()));
                }
                sender
            }

            fn push(&self, order: Order) {
                self.send(order).expect("the threads take work");
            }
        }
    };
}

line!(Crossbeam, crossbeam_channel);
line!(Flume, flume);

/// Sends a job, and waits for its response.
pub(crate) async fn ask(line: impl Line) -> Answer {
    let (sender, answer) = oneshot::channel();
    line.push(sender);
    answer.await.expect("the threads answer")
}
