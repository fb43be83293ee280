//! What the ledger's trees cost beside other implementations of RFC 6962, and its store beside plain redb.

mod peers;
mod store;
mod trees;

use super::{BenchError, Row};

pub(super) fn measure() -> Result<Vec<Row>, BenchError> {
    // Memory is measured first: see there.
    let mut rows = trees::measure()?;
    rows.extend(store::measure()?);
    Ok(rows)
}
