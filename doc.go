// Package longwire is for long-lived framed connections: boards, meters and
// controllers that keep one TCP connection open and speak a small binary frame over
// it.
//
//	| 0xC8 | length uint32 | type uint16 | data | 0xC9 |
//
// The frame is configuration (package frame). The data is whatever the application
// says, JSON as a rule; PROTOCOL.md is the specification for those who write the
// other end in another language.
//
// # One connection
//
// A [Conn] is the same thing at both ends. Either side asks ([Conn.Ask]: a question
// with a key, and the answer with the same key), pushes ([Conn.Push]: a message that
// needs no answer), and has a [Handler] for what the other side sends.
//
// A [Server] accepts connections. A [Client] makes them, and with [Client.Run] stays
// connected whatever happens to the server. [Mux] chooses a handler by the message's
// type.
//
// # Handlers
//
// What a handler returns is the answer. The messages of one connection are handled
// in order, one after the other, those of different connections at the same time. A
// handler may block, and may Ask the connection that its message came from: answers,
// pings and the end of the connection are noticed meanwhile, and what queues up
// behind it is bounded by [Config.MaxInbox].
//
// A message's data is lent until the handler returns; [Message.Clone] keeps it.
//
// # Cancellation
//
// Every call that can block takes a context. A handler's context ends when its
// connection is over. Giving up an Ask tells the peer nothing: its answer, when it
// comes, is counted and dropped.
//
// # The end of a connection
//
// Every connection ends for one [Reason], the same in [Conn.Err], in the log and in
// [Stats]. When the peer ends its stream, what has arrived is answered first.
//
// # Limitations
//
// Messages are delivered at most once: what is queued when a connection breaks is
// lost, and only an answer tells that a message has been handled.
package longwire
