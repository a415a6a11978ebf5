// Package poll watches sockets with epoll, for many connections that are mostly
// idle: a socket costs a slot in a table, and no goroutine. It knows file
// descriptors and events, and nothing of what the bytes mean. Linux only.
//
// Reading and writing never block, and are raw system calls that do not enter the
// Go scheduler: they return in a microsecond, and telling the scheduler of each
// costs a third of that again.
package poll
