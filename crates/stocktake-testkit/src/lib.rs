//! Conformance suites, recording and faulty wrappers, generators and real servers for tests
