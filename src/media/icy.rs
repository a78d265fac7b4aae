//! In-band ICY metadata: titles woven into a listener's bytes.
