//! Implementations that differ only in names and text.
//!
//! Threads: none; the compiler's.

/// `Debug` of a type that has a field without it: the name of the type, the values that are listed, and `..`.
///
/// ```text
/// partial_debug!(Shadowed<P, C>, |this| shadow: this.shadow);
/// ```
macro_rules! partial_debug {
    (
        $name:ident $(<$($argument:tt),+>)? $(where $bound:ident: Debug)?
        $(, |$this:ident| $($field:ident: $value:expr),+)?
    ) => {
        impl$(<$($argument),+>)? ::std::fmt::Debug for $name$(<$($argument),+>)? $(where $bound: ::std::fmt::Debug)? {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                $(let $this = self;)?
                f.debug_struct(stringify!($name))$($(.field(stringify!($field), &$value))+)?.finish_non_exhaustive()
            }
        }
    };
}

/// An error without a source, and its text.
///
/// ```text
/// error_text!(Panicked, |error| "panicked: {}", error.message);
/// ```
macro_rules! error_text {
    ($error:ty, $(|$this:ident|)? $format:literal $(, $value:expr)*) => {
        impl ::std::fmt::Display for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                $(let $this = self;)?
                write!(f, $format $(, $value)*)
            }
        }

        impl ::std::error::Error for $error {}
    };
}

/// The methods that change one setting of a builder, and return it.
///
/// ```text
/// setters! {
///     impl PoolBuilder;
///
///     /// The maximum number of threads. Default: 64.
///     pub fn threads(mut self, threads: usize) { self.threads = threads }
/// }
/// ```
macro_rules! setters {
    (
        $(#[$of_impl:meta])*
        impl $builder:ident$(<$($parameter:tt),+>)?;
        $(
            $(#[$of_setter:meta])*
            pub fn $name:ident(mut $this:ident $(, $value:ident: $type:ty)?) { $($change:tt)+ }
        )+
    ) => {
        $(#[$of_impl])*
        impl$(<$($parameter),+>)? $builder$(<$($parameter),+>)? {
            $(
                $(#[$of_setter])*
                pub fn $name(mut $this $(, $value: $type)?) -> Self {
                    $($change)+;
                    $this
                }
            )+
        }
    };
}
