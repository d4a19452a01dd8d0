//! Threads that receive work from a channel, a simple pool without the gateway.

use tokio::sync::oneshot;

use crate::hop::Answer;

/// A job: the sender for its response.
type ResponseSender = oneshot::Sender<Answer>;

/// The sending half of a channel.
pub(crate) trait JobSender: Clone + Send + Sync + 'static {
    /// Starts threads that share the receiving half, and that end when the last sender is dropped.
    fn with_threads(threads: usize) -> Self;

    fn push(&self, job: ResponseSender);
}

fn work(jobs: impl Iterator<Item = ResponseSender>) {
    for job in jobs {
        // The receiver of the response may have been dropped.
        let _ = job.send(Answer::hello());
    }
}

macro_rules! job_sender {
    ($name:ident, $channel:ident) => {
        pub(crate) type $name = $channel::Sender<ResponseSender>;

        impl JobSender for $name {
            fn with_threads(threads: usize) -> Self {
                let (sender, receiver) = $channel::unbounded();
                for _ in 0..threads {
                    let receiver = receiver.clone();
                    std::thread::spawn(move || work(receiver.into_iter()));
                }
                sender
            }

            fn push(&self, job: ResponseSender) {
                self.send(job).expect("the threads take work");
            }
        }
    };
}

job_sender!(Crossbeam, crossbeam_channel);
job_sender!(Flume, flume);

/// Sends a job, and waits for its response.
pub(crate) async fn ask(sender: impl JobSender) -> Answer {
    let (job, answer) = oneshot::channel();
    sender.push(job);
    answer.await.expect("the threads answer")
}
