package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/pflag"

	"github.com/longwire/longwire"
)

// The scripts in testdata/api are about the commands that ask a running gateway. Each has
// a directory of its own for contexts.
func TestAPIScript(t *testing.T) {
	// Under the race detector a program stays for a second after its end.
	t.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	testscript.Run(t, testscript.Params{
		Dir: "testdata/api",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", os.Getenv("GORACE"))
			for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "AppData"} {
				env.Setenv(name, env.WorkDir+"/config")
			}
			env.Values[(*stage)(nil)] = &stage{programs: make(map[string]*program), hubs: make(map[string]*hub)}
			env.Values[(*board)(nil)] = make(map[string]*board)
			env.Values[(*relay)(nil)] = new(relay)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":  cmdServe,
			"await":  cmdAwait,
			"end":    cmdEnd,
			"api":    cmdAPI,
			"board":  cmdBoard,
			"exits":  cmdExitsHere,
			"follow": cmdFollow,
			"seen":   cmdSeen,
			"relay":  cmdRelay,
			"id":     cmdID,
			"damage": cmdDamage,
			"gone":   cmdGone,
		},
	})
}

// cmdAPI makes the API of a program that "serve" has started the one that is asked:
//
//	api NAME
func cmdAPI(ts *testscript.TestScript, neg bool, args []string) {
	p := running(ts, args)
	found := p.stdout.await(regexp.MustCompile(`^longwire: API on (\S+)$`), 1)
	if neg || found == nil {
		ts.Fatalf("serve does not say where its API is")
	}
	ts.Setenv("LONGWIRE_API", found[1])
}

// cmdGone waits until the API that is asked knows that a device is away, which is soon after the log
// says so:
//
//	gone ID
func cmdGone(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: gone ID")
	}
	if !awaits(func() bool {
		response, err := http.Get(ts.Getenv("LONGWIRE_API") + "/v1/devices/" + args[0])
		ts.Check(err)
		defer response.Body.Close()
		device := struct{ Online bool }{true}
		ts.Check(json.NewDecoder(response.Body).Decode(&device))
		return response.StatusCode == http.StatusOK && !device.Online
	}) {
		ts.Fatalf("%s is still there", args[0])
	}
}

// cmdExitsHere is cmdExits with all of the script's environment.
func cmdExitsHere(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: exits STATUS [argument...]")
	}
	status := 0
	if err := ts.Exec("longwire", args[1:]...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		status = e.ExitCode()
	}
	if got := strconv.Itoa(status); got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
	if n := strings.Count(ts.ReadFile("stderr"), "\n"); status != 0 && n != 1 {
		ts.Fatalf("%d lines on stderr", n)
	}
	if status == exitUsage && ts.ReadFile("stdout") != "" {
		ts.Fatalf("wrong usage, and something on stdout")
	}
}

// cmdFollow starts a command that does not end by itself in the background:
//
//	follow NAME COMMAND [argument...]
func cmdFollow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: follow NAME COMMAND [argument...]")
	}
	p := &program{cmd: exec.Command("longwire", args[1:]...)}
	p.cmd.Env = append(p.cmd.Environ(), "LONGWIRE_API="+ts.Getenv("LONGWIRE_API"))
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	ts.Check(p.cmd.Start())
	ts.Defer(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
		ts.Logf("[%s]\n%s%s", args[0], p.stdout.String(), p.stderr.String())
	})
	on(ts).programs[args[0]] = p
}

// cmdSeen waits until a program has written a line to stdout that matches:
//
//	seen NAME REGEXP
func cmdSeen(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: seen NAME REGEXP")
	}
	if running(ts, args).stdout.await(regexp.MustCompile(args[1]), 1) == nil {
		ts.Fatalf("there is no line that matches %q", args[1])
	}
}

// cmdID makes the line of a file a variable:
//
//	id NAME FILE
func cmdID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: id NAME FILE")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// cmdDamage changes a byte of a file, where a text stands:
//
//	damage FILE TEXT
func cmdDamage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: damage FILE TEXT")
	}
	name := ts.MkAbs(args[0])
	b, err := os.ReadFile(name)
	ts.Check(err)
	at := bytes.Index(b, []byte(args[1]))
	if at < 0 {
		ts.Fatalf("there is no %q in %s", args[1], args[0])
	}
	b[at] ^= 1
	ts.Check(os.WriteFile(name, b, 0o600))
}

// A board is a device of a script, in the test itself.
type board struct {
	conn *longwire.Conn
	got  lines // a message each
}

// cmdBoard is about a board:
//
//	board connect ID ADDR [flag...]   connect, and say hello
//	board push ID TYPE DATA           send a message, and wait for its answer
//	board got ID REGEXP               wait until a message has come that matches, as "type data"
//	board stop ID                     hang up
//
// It answers questions with what --data says, or with --raw, or with an error that has
// --status and --message; with --mute not at all.
func cmdBoard(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: board connect|push|got|stop ID ...")
	}
	all, id := ts.Value((*board)(nil)).(map[string]*board), args[1]
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	switch args[0] {
	case "connect":
		b := new(board)
		c, err := b.client(id, args[2:]).Dial(ctx)
		ts.Check(err)
		b.conn, all[id] = c, b
		ts.Defer(func() { c.Close(longwire.ReasonClosed) })
	case "push":
		n, err := strconv.ParseUint(args[2], 0, 16)
		ts.Check(err)
		ts.Check(all[id].conn.AskByType(ctx, longwire.Type(n), longwire.Raw(args[3]), nil))
	case "got":
		if all[id].got.await(regexp.MustCompile(args[2]), 1) == nil {
			ts.Fatalf("%s has not got %q, but:\n%s", id, args[2], all[id].got.String())
		}
	case "stop":
		all[id].conn.Close(longwire.ReasonClosed)
	default:
		ts.Fatalf("unknown: board %s", args[0])
	}
}

func (b *board) client(id string, args []string) *longwire.Client {
	flags := pflag.NewFlagSet("board", pflag.PanicOnError)
	data := flags.String("data", "null", "")
	raw := flags.String("raw", "", "")
	status := flags.String("status", "", "")
	message := flags.String("message", "", "")
	mute := flags.Bool("mute", false, "")
	groups := flags.StringArray("group", nil, "")
	attributes := flags.StringToString("attribute", nil, "")
	flags.Parse(args)
	return &longwire.Client{
		Addr:  flags.Arg(0),
		Hello: &longwire.Hello{ID: id, Groups: *groups, Attributes: *attributes},
		Handler: longwire.HandlerFunc(func(ctx context.Context, m *longwire.Message) (any, error) {
			fmt.Fprintf(&b.got, "%v %s\n", m.Type, m.Payload())
			switch {
			case *mute:
				<-ctx.Done()
				return nil, ctx.Err()
			case *raw != "":
				return longwire.Raw(*raw), nil
			case *status != "":
				return nil, &longwire.Error{Status: *status, Message: *message, Data: json.RawMessage(*data)}
			}
			return json.RawMessage(*data), nil
		}),
	}
}
