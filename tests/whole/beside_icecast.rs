//! Stock Icecast servers beside the mesh: as its slaves, and as its masters.

mod masters;
mod slaves;
