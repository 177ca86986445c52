package servers

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Loopback is the only address that the servers listen on.
const Loopback = "127.0.0.1"

// FreePort returns a port that nothing listens on, and neither on the one 10,000 above it, which a node of a Redis Cluster
// takes too. It is outside of the range that the system gives to clients.
func FreePort() (int, error) {
	for range 200 {
		port := 15000 + rand.IntN(7000)
		if free(port) && free(port+10000) {
			return port, nil
		}
	}
	return 0, errors.New("no port is free from 15000 to 22000")
}

func free(port int) bool {
	l, err := net.Listen("tcp", Address(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// Address returns the address of a port of the loopback interface.
func Address(port int) string { return net.JoinHostPort(Loopback, strconv.Itoa(port)) }
