//! Who is in the mesh and who holds the master's seat.
