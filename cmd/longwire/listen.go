package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/logging"
)

// listen is the command "longwire listen" with its flags.
type listen struct {
	peer
	cmd    *cobra.Command
	count  count
	answer string
}

func newListen() *cobra.Command {
	l := &listen{}
	l.cmd = &cobra.Command{
		Use:   "listen ADDR",
		Short: "Stay connected and print what arrives",
		Long: `Listen connects to ADDR, and again whenever the connection is lost, until it
receives SIGINT or SIGTERM. It prints each message that arrives as one line of JSON
on stdout, and what becomes of the connection on stderr.

A line is {"at":"…","type":"0x0010","size":5,"data":…}: when the message arrived,
its type, how many bytes of data it has, and the data. Data that is not JSON stands
under "text" when it is text, and otherwise under "base64".

A question is printed and answered with status "200", and with --answer as the data.
What answers a question is no message and not printed.`,
		Example: `  longwire listen 127.0.0.1:10302
  longwire listen 127.0.0.1:10302 --id meter-7 --count 1
  longwire listen 127.0.0.1:10302 --id meter-7 --answer '{"ready":true}'`,
		Args:              arguments("ADDR"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return l.run(cmd.Context(), args[0]) },
	}
	l.cmd.Flags().SortFlags = false
	l.cmd.Flags().Var(&l.count, "count", "end after so many messages; 0 for never")
	l.cmd.Flags().StringVar(&l.answer, "answer", "", "`data` of the answers to questions: JSON as it is, other text as a string")
	l.addFlags(l.cmd)
	return l.cmd
}

func (l *listen) run(ctx context.Context, address string) error {
	if err := checkAddress(address); err != nil {
		return err
	}
	client, err := l.client(l.cmd, address)
	if err != nil {
		return err
	}
	if client.Config.Logger, _, err = logging.New(logging.Config{Stderr: l.cmd.ErrOrStderr()}); err != nil {
		return err
	}
	stop, abort, release := untilSignal(ctx)
	defer release()
	stop, end := context.WithCancelCause(stop)
	defer end(nil)

	p := &printer{out: l.cmd.OutOrStdout(), left: int(l.count), end: end}
	switch {
	case json.Valid([]byte(l.answer)):
		p.answer = json.RawMessage(l.answer)
	case l.answer != "":
		p.answer = l.answer
	}
	client.Handler = p
	ran := make(chan error, 1)
	go func() { ran <- client.Run(stop) }()
	select {
	case err = <-ran:
	case <-abort.Done(): // what is in progress may not finish
	}
	if stop.Err() == nil {
		return err
	}
	if e, ok := errors.AsType[*printError](err); ok && !errors.Is(e, syscall.EPIPE) {
		return e
	}
	return nil
}

// A printer prints the messages that it handles.
type printer struct {
	end    func(error) // ends the program; the first error counts
	answer any         // data of the answers to questions

	mu   sync.Mutex
	out  io.Writer
	left int // how many more messages to print; 0 means no limit
	over bool
}

// errEnough ends the program when as many messages have come as it is to print.
var errEnough = errors.New("all messages have come")

// A printError ends the program when a line cannot be printed.
type printError struct{ err error }

func (e *printError) Error() string { return "cannot print a message: " + innermost(e.err).Error() }
func (e *printError) Unwrap() error { return e.err }

// Handle prints a message, and answers it when it is a question.
func (p *printer) Handle(_ context.Context, m *longwire.Message) (any, error) {
	l := newLine(m.Type, m.Data)
	l.At = time.Now().Format("2006-01-02T15:04:05.000Z07:00")
	l.Size = new(len(m.Data))
	text, err := appendJSONLine(nil, l)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return nil, refuse(m)
	}
	if _, err := p.out.Write(text); err != nil {
		p.finish(&printError{err})
		return nil, refuse(m)
	}
	if p.left > 0 {
		if p.left--; p.left == 0 {
			p.finish(errEnough)
		}
	}
	if m.Key() == "" {
		return nil, nil
	}
	return p.answer, nil
}

// refuse returns the answer to a message that is not printed: none, when it is no
// question.
func refuse(m *longwire.Message) error {
	if m.Key() == "" {
		return nil
	}
	return longwire.Errorf(longwire.StatusUnavailable, "not listening any more")
}

// finish ends the program.
func (p *printer) finish(why error) {
	p.over = true
	p.end(why)
}
