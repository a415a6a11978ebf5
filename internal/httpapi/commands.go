package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/queue"
	"github.com/longwire/longwire/internal/store"
)

// A request for a command may ask for these at most. Later times have no room on disk.
const (
	maxTTL      = 366 * 24 * time.Hour
	maxTimeout  = time.Hour
	maxAttempts = 1000
)

type commandInput struct {
	ID   string `path:"id" doc:"the id of the device"`
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"makes the request one that may be repeated: others for the device with the same key, 1 to 255 printable characters of ASCII, make no other command as long as the first one can be looked at"`
	Wait string `query:"wait" doc:"how long to wait for the end of the command before this responds, as in 30s; not at all if it is not said"`
	Body newCommand
}

// A newCommand is what a device is to do.
type newCommand struct {
	_        struct{}        `additionalProperties:"false"`
	Type     typeRef         `json:"type"`
	Data     json.RawMessage `json:"data,omitempty" doc:"any JSON, which travels in an envelope; null if there is no raw either"`
	Raw      *string         `json:"raw,omitempty" encoding:"base64" doc:"in place of data: bytes in base64, which travel as they are"`
	Match    gateway.Match   `json:"match,omitempty" enum:"key,type" doc:"how the answer is found: it repeats the command's id as its call_back_key, or it is the next message of the same type. If it is not said, key for data and type for raw"`
	TTL      string          `json:"ttl,omitempty" doc:"how long it may wait for the device, at most 8784h; if it is not said, what the configuration says" example:"24h"`
	Timeout  string          `json:"timeout,omitempty" doc:"how long the device may take to answer before the command is sent again, at most 1h; if it is not said, what the configuration says" example:"10s"`
	Attempts *int            `json:"attempts,omitempty" minimum:"1" maximum:"1000" doc:"how often it is sent at most; if it is not said, what the configuration says"`
}

// Resolve has the key checked.
func (*commandInput) Resolve(c huma.Context) []error { return checkKey(c) }

// checkKey looks at what huma does not: an Idempotency-Key that is there and empty, or there
// twice, is none that anybody means.
func checkKey(c huma.Context) []error {
	r, _ := humago.Unwrap(c)
	given := r.Header.Values("Idempotency-Key")
	if len(given) == 0 {
		return nil
	}
	bad := len(given) > 1 || given[0] == ""
	for _, b := range []byte(given[0]) {
		bad = bad || b < ' ' || b > '~'
	}
	if bad {
		return []error{newProblem(http.StatusBadRequest, "the Idempotency-Key must be there once, and be 1 to 255 printable characters of ASCII")}
	}
	return nil
}

type commandOutput struct {
	Status int
	Body   queue.Command
}

// shown returns a command as it is shown. Others may have the same one in hand.
func shown(c *queue.Command) queue.Command {
	one := *c
	one.Digest = "" // is nobody's business
	return one
}

func shownAll(page []*queue.Command) []queue.Command {
	all := make([]queue.Command, len(page))
	for i, c := range page {
		all[i] = shown(c)
	}
	return all
}

func (s *Server) putCommand(ctx context.Context, in *commandInput) (*commandOutput, error) {
	r, err := s.readCommand(&in.Body, in.Key)
	if err != nil {
		return nil, err
	}
	wait, err := s.readWait(in.Wait)
	if err != nil {
		return nil, err
	}
	if !gateway.ValidID(in.ID) {
		return nil, noDevice
	}
	results, err := s.g.Command(ctx, gateway.Target{IDs: []string{in.ID}}, r)
	if err == nil {
		err = results[0].Err
	}
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	c := results[0].Command
	if wait > 0 && !c.State.Ended() {
		if c, err = s.await(ctx, in.ID, c.ID, wait); err != nil {
			return nil, s.fail(ctx, err)
		}
	}
	status := http.StatusAccepted
	if results[0].Repeated || c.State.Ended() {
		status = http.StatusOK
	}
	return &commandOutput{status, shown(c)}, nil
}

// await returns a command when it has ended, or as it is after a while.
func (s *Server) await(ctx context.Context, device, id string, wait time.Duration) (*queue.Command, error) {
	q, err := s.g.Commands()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	return q.Wait(ctx, device, id)
}

// readCommand makes what was sent a request.
func (s *Server) readCommand(f *newCommand, key string) (r queue.Request, err error) {
	q, err := s.readMatched(f.Type, f.Data, f.Raw, f.Match)
	if err != nil {
		return r, err
	}
	r = queue.Request{Type: q.Type, Data: q.Data, Raw: q.Raw, Match: string(q.Match), Key: key}
	if r.TTL, err = readSpan("ttl", f.TTL, maxTTL); err != nil {
		return r, err
	}
	if r.Timeout, err = readSpan("timeout", f.Timeout, maxTimeout); err != nil {
		return r, err
	}
	if f.Attempts != nil {
		if r.Attempts = *f.Attempts; r.Attempts < 1 || r.Attempts > maxAttempts {
			return r, newProblem(http.StatusBadRequest, "The attempts must be 1 to %d.", maxAttempts)
		}
	}
	return r, nil
}

// readSpan returns a time span, 0 where none is said.
func readSpan(name, text string, most time.Duration) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > most {
		return 0, newProblem(http.StatusBadRequest, "The %s must be a time such as 1h or 90s, and at most %v.", name, most)
	}
	return d, nil
}

// readWait returns how long a response may wait.
func (s *Server) readWait(text string) (time.Duration, error) {
	return readSpan("wait", text, s.conf.MaxWait)
}

type commandsInput struct {
	ID     string `path:"id" doc:"the id of the device"`
	State  string `query:"state" enum:"queued,sent,done,failed,expired,dead,cancelled" doc:"only those in this state"`
	Limit  int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"how many at most; there may be fewer on a page, when they are large"`
	Cursor string `query:"cursor" maxLength:"64" doc:"next of the page before"`
}

type commandsOutput struct {
	Body struct {
		Commands []queue.Command `json:"commands" doc:"those that have ended, in the order in which they did, and then those that wait, in the order in which they will be sent"`
		Next     string          `json:"next" doc:"cursor of the next page; empty when this is the last one"`
	} `nameHint:"CommandList"`
}

func (s *Server) listCommands(ctx context.Context, in *commandsInput) (*commandsOutput, error) {
	q, err := s.g.Commands()
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	if !gateway.ValidID(in.ID) {
		return nil, noDevice
	}
	page, next, err := q.List(ctx, in.ID, queue.State(in.State), in.Cursor, in.Limit)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	if _, unknown := s.g.Device(in.ID); unknown != nil && len(page) == 0 && in.Cursor == "" && in.State == "" {
		return nil, noDevice
	}
	out := new(commandsOutput)
	out.Body.Commands, out.Body.Next = shownAll(page), next
	return out, nil
}

// find returns the queue that may have a command.
func (s *Server) find(device, id string) (*queue.Queue, error) {
	q, err := s.g.Commands()
	if err == nil && (!gateway.ValidID(device) || !gateway.ValidID(id)) {
		err = queue.ErrNotFound
	}
	return q, err
}

type showCommandInput struct {
	ID      string `path:"id" doc:"the id of the device"`
	Command string `path:"cid" doc:"the id of the command"`
	Wait    string `query:"wait" doc:"how long to wait for the end of the command before this responds, as in 30s; not at all if it is not said"`
}

type shownCommand struct{ Body queue.Command }

func (s *Server) showCommand(ctx context.Context, in *showCommandInput) (*shownCommand, error) {
	wait, err := s.readWait(in.Wait)
	if err != nil {
		return nil, err
	}
	q, err := s.find(in.ID, in.Command)
	var c *queue.Command
	if err == nil {
		if wait > 0 {
			c, err = s.await(ctx, in.ID, in.Command, wait)
		} else {
			c, err = q.Get(ctx, in.ID, in.Command)
		}
	}
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &shownCommand{shown(c)}, nil
}

type commandID struct {
	ID      string `path:"id" doc:"the id of the device"`
	Command string `path:"cid" doc:"the id of the command"`
}

func (s *Server) cancelCommand(ctx context.Context, in *commandID) (*shownCommand, error) {
	q, err := s.find(in.ID, in.Command)
	var c *queue.Command
	if err == nil {
		c, err = q.Cancel(ctx, in.ID, in.Command)
	}
	if errors.Is(err, queue.ErrEnded) {
		return nil, newProblem(http.StatusConflict, "The command has ended already: it is %s.", c.State)
	}
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	s.note(ctx, "command cancelled over HTTP", "device", in.ID, "command", c.ID)
	return &shownCommand{shown(c)}, nil
}

func (s *Server) retryCommand(ctx context.Context, in *commandID) (*shownCommand, error) {
	q, err := s.find(in.ID, in.Command)
	var c *queue.Command
	if err == nil {
		c, err = q.Retry(ctx, in.ID, in.Command)
	}
	switch {
	case errors.Is(err, queue.ErrEnded):
		return nil, newProblem(http.StatusConflict, "The command is done; put another one to have it done again.")
	case errors.Is(err, queue.ErrWaits):
		return nil, newProblem(http.StatusConflict, "The command has not ended: it will be sent, or sent again, as it is.")
	case err != nil:
		return nil, s.fail(ctx, err)
	}
	s.note(ctx, "command retried over HTTP", "device", in.ID, "command", c.ID)
	return &shownCommand{shown(c)}, nil
}

type latestInput struct {
	State  string `query:"state" maxLength:"64" doc:"only those in this state: queued, sent, done, failed, expired, dead or cancelled, or several of them with commas" example:"dead,failed"`
	Limit  int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"how many at most; there may be fewer on a page, even none, when they are large or hard to find"`
	Cursor string `query:"cursor" maxLength:"64" doc:"next of the page before"`
}

type latestOutput struct {
	Body struct {
		Commands []queue.Command `json:"commands" doc:"of all devices, the one that changed last first"`
		Next     string          `json:"next" doc:"cursor of the next page; empty when this is the last one"`
	} `nameHint:"LatestCommands"`
}

func (s *Server) latestCommands(ctx context.Context, in *latestInput) (*latestOutput, error) {
	var states []queue.State
	if in.State != "" {
		for word := range strings.SplitSeq(in.State, ",") {
			state := queue.State(word)
			if !slices.Contains(queue.States, state) {
				return nil, newProblem(http.StatusBadRequest, "The state of a command is queued, sent, done, failed, expired, dead or cancelled; write several with commas between.")
			}
			states = append(states, state)
		}
	}
	q, err := s.g.Commands()
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	page, next, err := q.Latest(ctx, states, in.Cursor, in.Limit)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	out := new(latestOutput)
	out.Body.Commands, out.Body.Next = shownAll(page), next
	return out, nil
}

// failCommand makes an error of what is kept a problem, nil where it is none.
func failCommand(err error) *problem {
	switch {
	case errors.Is(err, gateway.ErrNothingKept):
		return newProblem(http.StatusServiceUnavailable, "This gateway keeps nothing: data is off in its configuration.")
	case errors.Is(err, queue.ErrMany):
		return newProblem(http.StatusTooManyRequests, "As many commands wait for the device as may (commands.max, commands.max_bytes).")
	case errors.Is(err, queue.ErrTooLarge), errors.Is(err, store.ErrTooLarge):
		return newProblem(http.StatusRequestEntityTooLarge, "The command is larger than all that may wait for a device (commands.max_bytes).")
	case errors.Is(err, queue.ErrNotFound):
		return newProblem(http.StatusNotFound, "The device has no command with this id, or not any more.")
	case errors.Is(err, queue.ErrInFlight):
		return newProblem(http.StatusConflict, "The command has been sent, and the device may be carrying it out.")
	case errors.Is(err, queue.ErrKeyTaken):
		return newProblem(http.StatusUnprocessableEntity, "The Idempotency-Key was that of another request for the device; choose another key.")
	case errors.Is(err, queue.ErrCursor):
		return newProblem(http.StatusBadRequest, "The cursor is not one of those that were given in next.")
	case errors.Is(err, store.ErrFull):
		return newProblem(http.StatusInsufficientStorage, "There is no room for more commands on the gateway's disk (commands.max_size, store.reserve).")
	case errors.Is(err, store.ErrUnavailable):
		return newProblem(http.StatusServiceUnavailable, "The gateway cannot keep anything at the moment; its log says why.")
	case errors.Is(err, queue.ErrClosed), errors.Is(err, store.ErrClosed):
		return newProblem(http.StatusServiceUnavailable, "The gateway is stopping.")
	}
	return nil
}
