//! Old formats are refused, and brought up to date without a loss.
