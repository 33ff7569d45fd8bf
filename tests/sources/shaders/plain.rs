//! Features of few devices, and injected faults, are not in the text of other kernels.

use wgru::kernels::Kernel;
use wgru::kernels::exchange::Fault;

use super::variants::kernels;

/// Features of few devices add no parameter and no line to other kernels.
#[test]
fn plain_kernels_contain_neither_pipelining_nor_the_exchange() {
    let (mut plain, mut others) = (0, 0);
    for kernel in kernels() {
        let (pipelined, fault) = match kernel {
            Kernel::MatmulTiled(kernel) => (kernel.pipelined, None),
            Kernel::MatmulRows(kernel) => (kernel.pipelined, None),
            Kernel::MatmulMatrices(kernel) => (kernel.pipelined, None),
            Kernel::Step(kernel) => (kernel.pipelined, None),
            Kernel::StepMatrices(kernel) => (kernel.pipelined, None),
            Kernel::Persistent(kernel) => (kernel.pipelined, None),
            Kernel::MultiWorkgroup(kernel) => (kernel.pipelined, Some(kernel.fault)),
            _ => (false, None),
        };
        let source = kernel.source();
        for (is_there, words) in [
            (pipelined, ["PipeliningParams", "pipelining."]),
            (fault.is_some(), ["ExchangeParams", "exchange_params."]),
            (matches!(fault, Some(Fault::Dies { .. })), ["DEAD_GROUP", "return is_dead(at) ||"]),
            (matches!(fault, Some(Fault::Late { .. })), ["    delay(at);", "        wait_for_all();"]),
        ] {
            let found = words.map(|word| source.contains(word));
            assert_eq!(found, [is_there; 2], "{kernel}: {words:?}");
        }
        *(if pipelined || fault.is_some() { &mut others } else { &mut plain }) += 1;
    }
    assert!(plain > 100 && others > 100, "{plain} and {others}");
}
