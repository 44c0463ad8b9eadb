//! The seam: bytes in, bytes out, the GIL released. `penstock_core.pyi` describes it; nothing else names pyo3.

use penstock_engine::Engine as Core;
use penstock_protocol::quantities::{Address, Hash};
use penstock_protocol::signing::Verifier as Checker;
use penstock_protocol::{envelope, keccak};
use penstock_state::roots::SettlementTree as Roots;
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt};

type Refused = u8;

fn wrong(message: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(message.to_string())
}

/// A Python int; one that the type does not hold is as good as its highest number.
fn whole<'py, T: FromPyObjectOwned<'py>>(number: &Bound<'py, PyAny>, highest: T) -> PyResult<T> {
    match number.extract() {
        Err(_) if number.is_instance_of::<PyInt>() => Ok(highest),
        found => found.map_err(Into::into),
    }
}

/// The state machine.
#[pyclass]
struct Engine(Core);

#[pymethods]
impl Engine {
    #[new]
    fn new(genesis: &[u8]) -> PyResult<Engine> {
        Core::new(genesis).map(Engine).map_err(wrong)
    }

    fn apply<'py>(&mut self, py: Python<'py>, commands: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Vec::with_capacity(4 * commands.len());
        py.detach(|| self.0.apply_batch(commands, &mut out)).map_err(wrong)?;
        Ok(PyBytes::new(py, &out))
    }

    #[staticmethod]
    fn load(py: Python<'_>, genesis: &[u8], saved: &[u8]) -> PyResult<Engine> {
        py.detach(|| Core::load(genesis, saved)).map(Engine).map_err(wrong)
    }

    fn save<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let saved = py.detach(|| self.0.save());
        PyBytes::new(py, &saved)
    }

    fn replay(&mut self, py: Python<'_>, records: &[u8]) -> PyResult<u64> {
        py.detach(|| self.0.replay(records)).map_err(wrong)
    }

    fn resting<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let packed = py.detach(|| self.0.resting());
        PyBytes::new(py, &packed)
    }

    fn engine_root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let root = py.detach(|| self.0.engine_root());
        PyBytes::new(py, &root)
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let leaves = py.detach(|| self.0.snapshot());
        PyBytes::new(py, &leaves)
    }

    fn account<'py>(&self, py: Python<'py>, subaccount: u32) -> Option<Bound<'py, PyBytes>> {
        self.0.account_view(subaccount).map(|view| PyBytes::new(py, &view))
    }

    fn market<'py>(&self, py: Python<'py>, market: u32) -> Option<Bound<'py, PyBytes>> {
        self.0.market_view(market).map(|view| PyBytes::new(py, &view))
    }

    fn markets<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let views = py.detach(|| self.0.market_views());
        PyBytes::new(py, &views)
    }

    fn what_if<'py>(
        &self,
        py: Python<'py>,
        subaccount: u32,
        market: u32,
        change: &Bound<'py, PyAny>,
        price: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        // What no machine word holds, no width of the state does.
        let (change, price) = (whole(change, i64::MAX)?, whole(price, u64::MAX)?);
        let found = self.0.what_if(subaccount, market, change, price).map_err(|unfit| wrong(unfit.0))?;
        Ok(found.map(|view| PyBytes::new(py, &view)))
    }

    fn guard_nonces(&self, subaccount: u32, slots: Vec<u16>) -> Option<Vec<u64>> {
        self.0.guard_nonces(subaccount, &slots)
    }
}

/// Checks envelopes on all cores.
#[pyclass]
struct Verifier(Checker);

#[pymethods]
impl Verifier {
    #[new]
    #[pyo3(signature = (separator, threads = 0))]
    fn new(separator: &[u8], threads: usize) -> PyResult<Verifier> {
        let separator: Hash = separator.try_into().map_err(|_| wrong("separator: wants 32 bytes"))?;
        Ok(Verifier(Checker::new(separator, threads)))
    }

    fn verify<'py>(
        &mut self,
        py: Python<'py>,
        envelopes: Vec<Bound<'py, PyBytes>>,
        from_node: Vec<bool>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        if envelopes.len() != from_node.len() {
            return Err(wrong("from_node: wants one for each envelope"));
        }
        let pairs: Vec<(&[u8], bool)> =
            envelopes.iter().zip(from_node).map(|(envelope, own)| (envelope.as_bytes(), own)).collect();
        let found = py.detach(|| self.0.verify(&pairs));
        found
            .into_iter()
            .map(|found| match found {
                Ok(message) => Ok(PyBytes::new(py, &message).into_any()),
                Err(reason) => Ok((reason as Refused).into_pyobject(py)?.into_any()),
            })
            .collect()
    }

    fn reopen<'py>(&self, py: Python<'py>, envelope: &[u8], signers: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let (signers, rest) = signers.as_chunks::<20>();
        if !rest.is_empty() {
            return Err(wrong("signers: wants 20 bytes each"));
        }
        let signers: Vec<Address> = signers.to_vec();
        let message = envelope::reopen(envelope, &signers).map_err(|reason| wrong(format!("envelope: {reason:?}")))?;
        Ok(PyBytes::new(py, &message))
    }
}

/// The tree behind the settlement root.
#[pyclass]
struct SettlementTree(Roots);

#[pymethods]
impl SettlementTree {
    #[new]
    fn new(snapshot: &[u8], genesis: &[u8]) -> PyResult<SettlementTree> {
        let roots = Roots::from_state(snapshot).map_err(|malformed| wrong(format!("snapshot: {malformed:?}")))?;
        roots.with_templates(genesis).map(SettlementTree).map_err(|malformed| wrong(format!("genesis: {malformed:?}")))
    }

    fn advance<'py>(
        &mut self,
        py: Python<'py>,
        written: Vec<Bound<'py, PyBytes>>,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let entries: Vec<&[u8]> = written.iter().map(|entry| entry.as_bytes()).collect();
        let roots = py
            .detach(|| self.0.advance_batch(&entries))
            .map_err(|malformed| wrong(format!("written: {malformed:?}")))?;
        Ok(roots.iter().map(|root| PyBytes::new(py, root)).collect())
    }

    fn root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.root())
    }

    fn holds(&self, subaccount: u32) -> bool {
        self.0.holds(subaccount)
    }

    fn copy(&self) -> SettlementTree {
        SettlementTree(self.0.clone())
    }

    fn prove<'py>(&self, py: Python<'py>, subaccount: u32) -> PyResult<[Bound<'py, PyBytes>; 6]> {
        let Some(proof) = self.0.proof(subaccount) else {
            return Err(PyKeyError::new_err(subaccount));
        };
        Ok([
            PyBytes::new(py, &proof.leaf),
            PyBytes::new(py, &proof.siblings.concat()),
            PyBytes::new(py, &proof.markets_root),
            PyBytes::new(py, &proof.globals_hash),
            PyBytes::new(py, &proof.deposit_head),
            PyBytes::new(py, &proof.forced_head),
        ])
    }

    fn open_trade<'py>(&self, py: Python<'py>, packed: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let opening = self.0.open_trade(packed).map_err(|malformed| wrong(format!("trade entry: {malformed:?}")))?;
        Ok(PyBytes::new(py, &opening))
    }
}

#[pyfunction]
fn keccak256<'py>(py: Python<'py>, payload: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &keccak::keccak256(&[payload]))
}

#[pymodule]
fn penstock_core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Engine>()?;
    module.add_class::<Verifier>()?;
    module.add_class::<SettlementTree>()?;
    module.add_function(wrap_pyfunction!(keccak256, module)?)
}
