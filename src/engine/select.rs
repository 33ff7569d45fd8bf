//! Selecting a device by a short text.

use super::options::CpuOptions;
use crate::cpu::InstructionSet;
use crate::info::AdapterInfo;

/// The meaning of a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selector {
    /// The best GPU that is not software, else the CPU.
    Auto,
    /// The CPU path.
    Cpu(CpuOptions),
    /// The f64 reference.
    Reference,
    /// An adapter, by API, by its name or a part of it in lower case, or both.
    Adapter { backend: Option<&'static str>, name: String },
}

/// Which of the adapters called `names` is meant by `wanted`: `#2` is the third. Else those of exactly that
/// name or, if there is none, those whose name contains it.
pub(super) fn matching(names: &[String], wanted: &str) -> Vec<usize> {
    if let Some(number) = wanted.strip_prefix('#') {
        let index = number.parse().ok();
        return index.filter(|&index: &usize| index < names.len()).into_iter().collect();
    }
    let which = |matches: &dyn Fn(&str) -> bool| {
        let lower = names.iter().map(|name| name.to_lowercase());
        lower.enumerate().filter(|(_, name)| matches(name)).map(|(index, _)| index).collect::<Vec<_>>()
    };
    let exact = which(&|name| name == wanted);
    if exact.is_empty() { which(&|name| name.contains(wanted)) } else { exact }
}

const BACKENDS: [&str; 5] = ["vulkan", "metal", "dx12", "gl", "webgpu"];

impl Selector {
    pub(super) fn parse(text: &str) -> Self {
        let text = text.trim().to_lowercase();
        match text.as_str() {
            "" | "auto" => return Self::Auto,
            "reference" => return Self::Reference,
            _ => {}
        }
        if let Some(options) = cpu(&text) {
            return Self::Cpu(options);
        }
        let backend = |word: &str| BACKENDS.into_iter().find(|backend| *backend == word);
        match text.split_once(':') {
            Some((api, name)) if backend(api).is_some() => {
                Self::Adapter { backend: backend(api), name: name.trim().into() }
            }
            _ => match backend(&text) {
                Some(api) => Self::Adapter { backend: Some(api), name: String::new() },
                None => Self::Adapter { backend: None, name: text },
            },
        }
    }
}

/// `cpu`, and after colons a number of threads and the name of an instruction set.
fn cpu(text: &str) -> Option<CpuOptions> {
    let mut words = text.split(':').map(str::trim);
    words.next().filter(|first| *first == "cpu")?;
    words.try_fold(CpuOptions::default(), |options, word| match word.parse() {
        Ok(threads) => Some(options.threads(threads)),
        Err(_) => {
            let set = InstructionSet::ALL.into_iter().find(|set| set.name() == word)?;
            Some(options.instructions(set))
        }
    })
}

/// The rank of an adapter for `auto` and among several matches: real before software, discrete before
/// integrated, and the system's own APIs before GL.
pub(super) fn rank(info: &AdapterInfo) -> (bool, u8, bool) {
    let kind = match info.kind {
        "discrete" => 3,
        "integrated" => 2,
        "virtual" => 1,
        _ => 0,
    };
    (!info.software, kind, info.backend != "gl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let names = ["H200 NVL", "H200", "llvmpipe"].map(str::to_owned);
        assert_eq!(matching(&names, ""), [0, 1, 2]);
        assert_eq!(matching(&names, "h200"), [1]);
        assert_eq!(matching(&names, "nvl"), [0]);
        assert_eq!(matching(&names, "#2"), [2]);
        assert!(matching(&names, "#3").is_empty() && matching(&names, "#x").is_empty());
    }

    #[test]
    fn words() {
        let adapter = |backend, name: &str| Selector::Adapter { backend, name: name.into() };
        assert_eq!(Selector::parse("auto"), Selector::Auto);
        let cpu = CpuOptions::default();
        assert_eq!(Selector::parse("CPU"), Selector::Cpu(cpu));
        assert_eq!(Selector::parse("cpu:3"), Selector::Cpu(cpu.threads(3)));
        let avx2 = Selector::Cpu(cpu.threads(2).instructions(InstructionSet::Avx2));
        assert_eq!(Selector::parse("cpu: AVX2 :2"), avx2);
        assert_eq!(Selector::parse("cpu:what"), adapter(None, "cpu:what"));
        assert_eq!(Selector::parse("reference"), Selector::Reference);
        assert_eq!(Selector::parse("vulkan"), adapter(Some("vulkan"), ""));
        assert_eq!(Selector::parse("vulkan:llvmpipe"), adapter(Some("vulkan"), "llvmpipe"));
        assert_eq!(Selector::parse("Radeon RX"), adapter(None, "radeon rx"));
        assert_eq!(Selector::parse("what:ever"), adapter(None, "what:ever"));
    }
}
