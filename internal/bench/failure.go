package bench

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// A Kind is a way in which a server can fail to echo.
type Kind string

const (
	Closed      Kind = "closed"       // the server ended a connection, or it broke
	BadFrame    Kind = "bad_frame"    // what came is no frame
	WrongType   Kind = "wrong_type"   // an answer has another type than what was sent
	WrongLength Kind = "wrong_length" // an answer has more or fewer bytes of data
	WrongData   Kind = "wrong_data"   // an answer has other data
	Skipped     Kind = "skipped"      // an answer came before its turn, so another is lost or late
	Repeated    Kind = "repeated"     // an answer came again
	Unasked     Kind = "unasked"      // there were more answers than frames were sent
	Unanswered  Kind = "unanswered"   // no answer came in time; counted in frames, the others in connections
)

// A Failure is one failure of a server.
type Failure struct {
	Conn    int // which connection, from 0
	Kind    Kind
	Problem string // what was wrong, with nothing in it of what the server sent but numbers
}

func (f *Failure) Error() string { return fmt.Sprintf("bench: connection %d: %s", f.Conn+1, f.Problem) }

func failuref(kind Kind, format string, args ...any) error {
	return &Failure{Kind: kind, Problem: fmt.Sprintf(format, args...)}
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// ended says why a connection is over.
func ended(err error) string {
	if errors.Is(err, io.EOF) {
		return "the server closed it"
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		err = errno
	}
	return "it broke: " + err.Error()
}

func unansweredText(n int64, timeout time.Duration) string {
	return fmt.Sprintf("%d frames were not answered, %v after the last was to be sent", n, timeout)
}
