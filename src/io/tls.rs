//! The cluster's secret, the authority that grows from it, and the certificates of its nodes.
