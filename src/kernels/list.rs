//! Defines an enum of all kernels, and one of each family of interchangeable kernels, from the list in `mod.rs`.

/// An enum of kernels that delegates to its member.
macro_rules! one_of {
    ($(#[$doc:meta])* $name:ident is $definition:ty: $($member:ident),+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[doc = concat!("[`", stringify!($member), "`].")] $member($member)),+
        }

        impl Deref for $name {
            type Target = $definition;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$member(kernel) => kernel),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text())
            }
        }

        $(
            impl From<$member> for $name {
                fn from(kernel: $member) -> Self {
                    Self::$member(kernel)
                }
            }
        )+
    };
}

macro_rules! kernels {
    ($($single:ident),+; $($(#[$doc:meta])* $family:ident of $params:ty: $($member:ident),+;)+) => {
        one_of! {
            /// A kernel with every size that its pipeline is specialised for.
            Kernel is dyn Definition: $($($member,)+)+ $($single),+
        }

        $(
            one_of! { $(#[$doc])* $family is dyn Takes<$params>: $($member),+ }

            impl $family {
                /// The same for a slice of its matrix, of so many columns of each gate.
                pub fn of_columns(self, count: u32) -> Self {
                    match self {
                        $(Self::$member(kernel) => Self::$member(kernel.of_columns(count))),+
                    }
                }
            }
        )+
    };
}
