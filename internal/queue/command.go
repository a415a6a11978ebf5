package queue

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/longwire/longwire"
)

// State is how far a command has come. It is on disk before anybody is told of it, and
// before anything is done that it tells of.
type State string

const (
	Queued    State = "queued"    // nothing of it has been sent
	Sent      State = "sent"      // its board may have it, and has not answered
	Done      State = "done"      // its board has answered, with a status from 200 to 299 or with bytes
	Failed    State = "failed"    // its board has refused it, or it fits in no frame
	Expired   State = "expired"   // its time has passed; the board may have it if it was sent
	Dead      State = "dead"      // all attempts have failed
	Cancelled State = "cancelled" // somebody has called it back; the board may have it if it was sent
)

// States are all of them.
var States = []State{Queued, Sent, Done, Failed, Expired, Dead, Cancelled}

// Ended reports whether nothing more becomes of a command.
func (s State) Ended() bool { return s != Queued && s != Sent }

// ends reports whether s is a state in which commands have ended, and not "".
func (s State) ends() bool { return s != "" && s.Ended() }

// A Command is something that a board is to do, and what has become of it.
type Command struct {
	ID          string          `json:"id" doc:"also the call_back_key of the question, the same at every attempt"`
	Device      string          `json:"device"`
	Type        longwire.Type   `json:"type"`
	Data        json.RawMessage `json:"data,omitempty" doc:"what travels in an envelope"`
	Raw         []byte          `json:"raw,omitzero" doc:"in its place: what travels as it is, in base64"`
	Match       string          `json:"match" enum:"key,type" doc:"how the answer is found"`
	State       State           `json:"state" enum:"queued,sent,done,failed,expired,dead,cancelled"`
	CreatedAt   time.Time       `json:"created_at" doc:"when it was put, or put again"`
	UpdatedAt   time.Time       `json:"updated_at" doc:"when it came into its state, or was last sent or answered"`
	ExpiresAt   time.Time       `json:"expires_at"`
	SentAt      *time.Time      `json:"sent_at" doc:"when it was last sent; null if it never was"`
	Timeout     string          `json:"timeout" doc:"how long the board may take to answer"`
	Attempts    int             `json:"attempts" doc:"how often it has been sent"`
	MaxAttempts int             `json:"max_attempts"`
	Error       string          `json:"error,omitempty" doc:"why the last attempt has failed"`
	Answer      json.RawMessage `json:"answer" doc:"what the board has answered: its envelope, or raw; null as long as it has not"`

	// Digest tells whether two requests with one Idempotency-Key are the same.
	Digest string `json:"digest,omitempty" hidden:"true"`
}

func (c *Command) timeout() time.Duration {
	d, err := time.ParseDuration(c.Timeout)
	if err != nil || d <= 0 {
		return DefaultTimeout
	}
	return d
}

func (c *Command) order() int64 { return c.CreatedAt.UnixNano() }

// size returns about how many bytes the command has on disk, which is what bounds are about.
func (c *Command) size() int { return len(c.Data) + len(c.Raw)*4/3 + 512 }

// weight is how many bytes of others' are in a command.
func (c *Command) weight() int { return len(c.Data) + len(c.Raw) + len(c.Answer) }

// encode returns the command as it is on disk: whether it has ended, when it was put and when it
// expires, which is all that a start needs beside the key, and then all of it in JSON.
func (c *Command) encode() []byte {
	b, err := JSON(c)
	if err != nil { // Data and Answer have been read as JSON
		panic(fmt.Sprintf("queue: command %s of %s: %v", c.ID, c.Device, err))
	}
	record := append(make([]byte, 0, recordHead+len(b)), recordWaits)
	switch {
	case c.State.Ended():
		record[0] = recordEnded
	case c.Match == "type":
		record[0] = recordAlone
	}
	record = binary.BigEndian.AppendUint64(record, uint64(c.order()))
	record = binary.BigEndian.AppendUint64(record, uint64(c.ExpiresAt.UnixNano()))
	return append(record, b...)
}

// JSON returns v as JSON in which <, > and & stand as they are: a board gets what was put.
func JSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// recordHead is the size of what stands before the JSON.
const recordHead = 1 + 8 + 8

const (
	recordWaits = 'w'
	recordAlone = 'a' // it waits, and its answer has no key
	recordEnded = 'e'
)

var errNoCommand = errors.New("queue: what is on disk is no command")

func decodeCommand(b []byte) (*Command, error) {
	if len(b) < recordHead {
		return nil, errNoCommand
	}
	c := new(Command)
	if err := json.Unmarshal(b[recordHead:], c); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoCommand, err)
	}
	return c, nil
}

// decodeItem returns what is held in memory of a command, nil where it has ended.
func decodeItem(id string, b []byte) (*item, error) {
	if len(b) < recordHead {
		return nil, errNoCommand
	}
	if b[0] == recordEnded {
		return nil, nil
	}
	return &item{
		id:      id,
		order:   int64(binary.BigEndian.Uint64(b[1:])),
		expires: int64(binary.BigEndian.Uint64(b[9:])),
		size:    len(b),
		phase:   waiting,
		alone:   b[0] == recordAlone,
	}, nil
}

// A Request asks for a command. Zero fields mean the defaults of the Config.
type Request struct {
	Device   string
	Type     longwire.Type
	Data     json.RawMessage
	Raw      []byte
	Match    string // "key" or "type"
	TTL      time.Duration
	Timeout  time.Duration
	Attempts int

	// Key, if not "", makes the request one that may be repeated: the first with a key
	// makes a command, others for the device return that.
	Key string
}

// A Result is what has become of a Request.
type Result struct {
	Device   string
	Command  *Command // nil where there is an error
	Repeated bool     // the command was there already
	Err      error
}

var (
	// ErrMany means that as many commands wait for the board as may.
	ErrMany = errors.New("too many commands wait for the device")
	// ErrTooLarge means that a command alone has more bytes than may wait for a board.
	ErrTooLarge = errors.New("the command has more bytes than may wait for the device")
	// ErrNotFound means that there is no such command, or not any more.
	ErrNotFound = errors.New("no such command")
	// ErrInFlight means that a command cannot be cancelled as the board has it and may be
	// carrying it out.
	ErrInFlight = errors.New("the command has been sent, and its answer may come")
	// ErrEnded means that a command cannot be cancelled as it has ended.
	ErrEnded = errors.New("the command has ended")
	// ErrKeyTaken means that another request had the same idempotency key.
	ErrKeyTaken = errors.New("the idempotency key was that of another request")
	// ErrClosed means that the queue takes no commands any more.
	ErrClosed = errors.New("the queue is closed")
)
