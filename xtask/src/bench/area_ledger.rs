//! What the ledger's trees cost beside other implementations of RFC 6962.

mod peers;
mod trees;

use super::{BenchError, Row};

pub(super) fn measure() -> Result<Vec<Row>, BenchError> {
    trees::measure()
}
