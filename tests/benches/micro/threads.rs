//! Threads behind a channel, as one would put them up by hand.

use tokio::sync::oneshot;

use crate::hop::Answer;

/// One piece of work, and where its answer goes.
type Order = oneshot::Sender<Answer>;

/// A channel, by its sending end.
pub(crate) trait Line: Clone + Send + Sync + 'static {
    /// Puts up threads that share the receiving end, and end when the last sending end is gone.
    fn with_threads(threads: usize) -> Self;

    fn push(&self, order: Order);
}

fn work(orders: impl Iterator<Item = Order>) {
    for order in orders {
        // Nobody may wait for it any more.
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

/// Has one answered.
pub(crate) async fn ask(line: impl Line) -> Answer {
    let (sender, answer) = oneshot::channel();
    line.push(sender);
    answer.await.expect("the threads answer")
}
