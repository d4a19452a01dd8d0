//! Async tests with a bound: `#[tokio::test(crate = "crate::bounded")]` uses this module in the place of tokio.

pub(crate) use tokio::pin;

pub(crate) mod runtime {
    use std::io;

    /// tokio's builder, as far as the attribute uses it.
    pub(crate) struct Builder(tokio::runtime::Builder);

    pub(crate) struct Runtime(tokio::runtime::Runtime);

    impl Builder {
        pub(crate) fn new_current_thread() -> Self {
            Self(tokio::runtime::Builder::new_current_thread())
        }

        pub(crate) fn new_multi_thread() -> Self {
            Self(tokio::runtime::Builder::new_multi_thread())
        }

        pub(crate) fn start_paused(&mut self, is_paused: bool) -> &mut Self {
            self.0.start_paused(is_paused);
            self
        }

        pub(crate) fn enable_all(&mut self) -> &mut Self {
            self.0.enable_all();
            self
        }

        pub(crate) fn build(&mut self) -> io::Result<Runtime> {
            self.0.build().map(Runtime)
        }
    }

    impl Runtime {
        pub(crate) fn block_on<F: Future>(self, test: F) -> F::Output {
            gateway_tests::block_on_runtime(self.0, test)
        }
    }
}
