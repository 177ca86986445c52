// Package servers starts real servers on free ports of the loopback interface, with their data in a folder of the caller's:
// for the tests, for the benchmark, and for whoever wants to try a store. A program that is not there is installed where that
// is possible (as root, with apt), and is otherwise a [Missing].
package servers
