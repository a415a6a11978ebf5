//go:build slow

package longwire_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// An actor is this program in a role. The test talks to it in lines.
type actor struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Scanner
}

// start starts this program in a role, under a command if one is given.
func start(t *testing.T, role string, under ...string) *actor {
	t.Helper()
	words := append(under, os.Args[0])
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = append(os.Environ(), "LONGWIRE_TEST_ROLE="+role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(5*time.Minute, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		guard.Stop()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &actor{t: t, cmd: cmd, in: in, out: bufio.NewScanner(out)}
}

// tell sends the actor a line.
func (a *actor) tell(line string) {
	a.t.Helper()
	if _, err := io.WriteString(a.in, line+"\n"); err != nil {
		a.t.Fatal(err)
	}
}

// hear returns the actor's next line that begins with the word, without it.
func (a *actor) hear(word string) string {
	a.t.Helper()
	for a.out.Scan() {
		if rest, ok := strings.CutPrefix(a.out.Text(), word); ok {
			return strings.TrimSpace(rest)
		}
		a.t.Log(a.out.Text())
	}
	a.t.Fatalf("it ended, and did not say %q", word)
	return ""
}
