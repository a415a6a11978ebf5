package longwire

import (
	"errors"
	"fmt"
)

// Statuses of an answer. They are strings on the wire, with the meaning that HTTP
// gives them.
const (
	StatusOK              = "200"
	StatusBadRequest      = "400"
	StatusUnauthorized    = "401"
	StatusNotFound        = "404"
	StatusTimeout         = "408"
	StatusConflict        = "409"
	StatusTooLarge        = "413"
	StatusTooManyRequests = "429"
	StatusInternal        = "500"
	StatusUnavailable     = "503"
)

// ErrServerClosed is returned by [Server.Serve] and [Server.ListenAndServe] after
// Shutdown or Close.
var ErrServerClosed = errors.New("longwire: server closed")

// An Error is what this side tells the peer: a handler that returns one answers
// with its status and message. Any other error of a handler is told as status
// "500" without its text, and logged.
type Error struct {
	Status  string // one of the Status constants, or the application's own
	Message string // a sentence for the peer
	Data    any    // optional; the answer's data, encoded as JSON
}

// Errorf returns an [*Error] with the status and the formatted message.
func Errorf(status, format string, args ...any) *Error {
	return &Error{Status: status, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string { return "longwire: " + e.Status + ": " + e.Message }

// A RemoteError is what the peer told this side: an answer whose status is not one
// of success, "200" to "299". Its texts are the peer's and may hold anything.
type RemoteError struct {
	Status  string
	Message string
	Data    []byte // the answer's data as JSON; nil when it had none
}

func (e *RemoteError) Error() string {
	return fmt.Sprintf("longwire: the peer answered %.64q: %.256q", e.Status, e.Message)
}

// A CloseError says why a connection is over. Calls on a connection that is over
// return it, as does [Conn.Err].
type CloseError struct {
	Reason Reason
	Err    error // the cause, where there is more to say; may be nil
}

func (e *CloseError) Error() string {
	if e.Err == nil {
		return "longwire: connection over: " + e.Reason.String()
	}
	return "longwire: connection over: " + e.Reason.String() + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *CloseError) Unwrap() error { return e.Err }
