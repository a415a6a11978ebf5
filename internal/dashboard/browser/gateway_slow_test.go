//go:build slow

package browser_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/longwire/longwire"
)

// program builds the command, once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "longwire-dashboard")
	if err != nil {
		return "", err
	}
	atEnd = append(atEnd, func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "longwire")
	cmd := exec.Command("go", "build", "-o", path, "github.com/longwire/longwire/cmd/longwire")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", &buildError{err, string(out)}
	}
	return path, nil
})

type buildError struct {
	err error
	out string
}

func (e *buildError) Error() string { return e.err.Error() + "\n" + e.out }

// A process is "longwire serve" as users run it. Boards are connections of the test.
type process struct {
	t      *testing.T
	args   []string
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	boards string // the address
	api    string // the URL
	token  string // for the test's own requests; "" when none is needed
}

// serve starts a gateway with a configuration.
func serve(t *testing.T, yaml string) *process {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "longwire.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, args: []string{"serve", "--config", file, "--data", filepath.Join(dir, "data"), "--log-level", "warn"}}
	t.Cleanup(p.stop)
	if strings.Contains(yaml, "listeners:") {
		p.start("", "127.0.0.1:0")
	} else {
		p.start("127.0.0.1:0", "127.0.0.1:0")
	}
	return p
}

var said = regexp.MustCompile(`(?s)longwire: listening on (\S+)\n.*longwire: API on (\S+)\n`)

// start starts it, and returns when it listens. Boards is "" where the configuration says where.
func (p *process) start(boards, api string) {
	p.t.Helper()
	path, err := program()
	if err != nil {
		p.t.Fatal(err)
	}
	p.stderr = new(bytes.Buffer)
	args := append(slices.Clone(p.args), "--http", api)
	if boards != "" {
		args = append(args, "--listen", boards)
	}
	p.cmd = exec.Command(path, args...)
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	var out []byte
	for buf := make([]byte, 1024); ; {
		n, err := stdout.Read(buf)
		out = append(out, buf[:n]...)
		if m := said.FindSubmatch(out); m != nil {
			p.boards, p.api = string(m[1]), string(m[2])
			return
		}
		if err != nil {
			p.cmd.Wait()
			p.t.Fatalf("serve does not say that it listens: %s%s", out, p.stderr)
		}
	}
}

// stop ends it as a service manager does.
func (p *process) stop() {
	if p.cmd == nil || p.cmd.ProcessState != nil {
		return
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	p.cmd.Wait()
	late.Stop()
	if p.t.Failed() && p.stderr.Len() > 0 {
		p.t.Logf("the gateway said:\n%s", p.stderr)
	}
}

// again starts it where it was.
func (p *process) again() {
	p.t.Helper()
	p.start(p.boards, strings.TrimPrefix(p.api, "http://"))
}

// do calls the API.
func (p *process) do(method, path, body string, v any) int {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, p.api+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if p.token != "" {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	r.Close = true // no connection outlives the test
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if v != nil {
		if err := json.Unmarshal(b, v); err != nil {
			p.t.Fatalf("%s %s: %s: %v", method, path, b, err)
		}
	}
	return response.StatusCode
}

// board connects a board, which answers every question with what it was asked.
func (p *process) board(hello longwire.Hello) *longwire.Conn {
	p.t.Helper()
	return p.boardWith(hello, func(_ context.Context, m *longwire.Message) (any, error) {
		return map[string]any{"asked": json.RawMessage(bytes.Clone(m.Payload())), "by": hello.ID}, nil
	})
}

func (p *process) boardWith(hello longwire.Hello, handle longwire.HandlerFunc) *longwire.Conn {
	p.t.Helper()
	cl := &longwire.Client{Addr: p.boards, Handler: handle, Hello: &hello}
	c, err := cl.Dial(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		c.Close(longwire.ReasonClosed)
		<-c.Done()
	})
	return c
}
