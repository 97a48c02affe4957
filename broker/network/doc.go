// Package network accepts connections and moves requests and replies over them.
//
// A Server owns listeners, each with one goroutine that accepts, and connections, each with one
// goroutine that reads. A request takes this way:
//
//	conn.serve -> inbound.fill, next -> conn.dispatch -> request.Handler
//	request.Reply -> slot.Reply -> conn.flush -> outbound -> transport
//
// # Order
//
// A connection runs its handlers in the order of the requests and writes replies in that order. Each
// request has a slot in a queue; a reply waits in its slot until those before it have left. Handlers
// run on the connection's goroutine; those of routes that block run on a second one, in order among
// themselves.
//
// Two kinds of routes keep requests further apart, as Kafka does with all of them: one that holds lets nothing behind
// it begin before it is answered, one that follows begins when everything before it is answered. JoinGroup and
// SyncGroup hold: what a member sends behind them is meant for the generation that they bring, and a second one on the
// connection must not take the place of the first. A request whose place was taken, by one on another connection, is
// abandoned: it is never answered and nothing behind it is, until the connection ends.
//
// # Who writes
//
// There is no writer goroutine at rest. Whoever makes the head of the queue ready takes the writing
// flag, writes what is ready and gives the flag back once nothing is. While the connection's goroutine
// handles what it has read it is "corked": replies gather and leave in one write at the end, which is
// when a look at the socket finds nothing more, or enough is handled (mayLinger). Another
// goroutine that completes the head writes without waiting; if the socket is full, or much is to be
// written, a goroutine is started that ends when everything is out.
//
// # What bounds memory
//
// A connection at rest holds no buffer: it waits for readability first. A frame's buffer grows with the
// bytes that arrive, not with the length that was announced. A connection stops reading while too
// many of its requests are unanswered, while a write waits for the client, or while the bytes of all
// requests in work exceed queued.max.request.bytes; with that limit it reads no further than the frame that is paid for,
// but for the smallest buffer. Sections of files hold no memory.
//
// # What bounds descriptors
//
// Sockets are limited by Options.MaxConnections, beside the limits that may change: further connections wait to be accepted.
// An accept that finds no descriptor nevertheless asks for one (Options.OnNoDescriptor), and otherwise tries again after a
// pause. A section's file is open while a system call reads from it, not while the client is waited for.
//
// # Locks
//
// Server.mu, conn.mu; neither is held while handlers run or bytes move.
package network
