"""A study: planned, run by one loop, kept in the store, resumed, and what it has found."""
