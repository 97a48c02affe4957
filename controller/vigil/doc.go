// Package vigil notices that the process of another broker is gone, long before its ZooKeeper session ends.
//
// A Vigil keeps one connection to each broker that it watches: every broker watches all others, since any may
// be the next controller. It is opened with one ApiVersions request, so that it is known to
// reach a broker, and carries nothing afterwards. A process that ends, whatever the reason, leaves the closing of its
// sockets to its system, which does it within milliseconds. What counts as the end of a process is
//
//   - that this connection, which had been answered, is closed by the peer's system (FIN or RST), and
//   - that a new connection to the very address it had led to is refused by its host (ECONNREFUSED), and
//   - that all other listeners that the broker has registered refuse one, too.
//
// Nothing else counts. In particular not
//
//   - a time-out, while connecting, in answering, or of the system's probes on a silent connection; a host or
//     network that cannot be reached: the process may be paused, or cut off from this broker alone;
//   - a closed or reset connection while the listener is still there: an idle connection that the broker has
//     closed, a limit of connections, a proxy that was restarted;
//   - a refused connection to a broker that this one had not reached before: it is just starting, and some
//     brokers register before they bind their ports.
//
// A doubtful outcome after the connection's end makes the Vigil wait until the broker has answered once more.
//
// # A broker that is alive after all
//
// A middle box can refuse in the name of a broker that lives: a proxy that died, a rule of a firewall, a port
// mapping that was taken away. Acting is harmless then, see package controller: it moves leadership away from a broker that
// can in fact not be reached, without touching its registration. The Vigil goes on trying to
// connect, and tells when the broker answers again.
//
// Lock order: Vigil.mu is a leaf; Noticed is called without it.
package vigil
