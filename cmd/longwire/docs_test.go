package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A documented command and what it is said to print.
type documented struct{ command, output string }

// commands finds the commands of a page: those in blocks of sh, each with the block behind it,
// and lines that begin with "$ curl", with the line behind them.
func commands(t *testing.T, page string) (found []documented) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", page))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```(?:\n\n```(?:json)?\n(.*?)```)?").FindAllStringSubmatch(string(b), -1) {
		found = append(found, documented{m[1], m[2]})
	}
	for _, m := range regexp.MustCompile(`(?m)^\$ (curl .* http://127.*)\n(.*)`).FindAllStringSubmatch(string(b), -1) {
		found = append(found, documented{m[1], m[2]})
	}
	return found
}

// Whoever copies a command of a page gets what the page says: the same fields, of the same kinds, and
// where it is no JSON the same words.
func TestDocumentedRequests(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl on this machine; .ci/run has one")
	}
	for _, page := range []string{"README.md", "docs/api.md"} {
		t.Run(page, func(t *testing.T) {
			list := commands(t, page)
			if len(list) < 2 {
				t.Fatalf("%d commands", len(list))
			}
			t.Chdir(t.TempDir())
			g := serveConfig(t, "types: {rom: 0x10}\ndevices: {frames: 20, frame_data: true, groups: {hall: [meter-7]}}\n")
			ctx, cancel := context.WithCancel(t.Context())
			board := make(chan int, 1)
			defer func() {
				cancel()
				<-board
			}()
			go func() {
				board <- run(ctx, []string{"listen", g.boards[0], "--id", "meter-7", "--answer", `{"ready":true}`}, nil, io.Discard, io.Discard)
			}()
			if got := run(ctx, []string{"send", g.boards[0], "0x20", `{"celsius":21}`, "--id", "meter-8"}, nil, io.Discard, io.Discard); got != exitDone {
				t.Fatalf("the other board: exit status %d", got)
			}
			for _, doc := range list {
				if !awaits(func() bool {
					var here, gone struct{ Online bool }
					g.do("GET", "/v1/devices/meter-7", "", &here)
					g.do("GET", "/v1/devices/meter-8", "", &gone)
					return here.Online && !gone.Online
				}) {
					t.Fatal("the boards are not where they should be")
				}
				command := strings.ReplaceAll(doc.command, "http://127.0.0.1:10380", g.api)
				out, err := exec.Command("sh", "-c", command).Output()
				if e, is := errors.AsType[*exec.ExitError](err); err != nil && (!is || e.ExitCode() != 28 || !strings.Contains(command, "-m 1 ")) {
					t.Errorf("%s: %v\n%s", doc.command, err, out)
				}
				if !alike(string(out), doc.output) && strings.Contains(command, "-m 1 ") { // what goes on is cut off, too early on a busy machine
					out, _ = exec.Command("sh", "-c", strings.ReplaceAll(command, "-m 1 ", "-m 10 ")).Output()
				}
				if !alike(string(out), doc.output) {
					t.Errorf("%s\nprints %s\nthe page says %s", doc.command, out, doc.output)
				}
			}
		})
	}
}

// alike compares what is printed with what a page says.
func alike(printed, said string) bool {
	var a, b any
	said = strings.ReplaceAll(said, ", …", "") // left out
	errs := errors.Join(json.Unmarshal([]byte(printed), &a), json.Unmarshal([]byte(said), &b))
	if errs == nil {
		return contains(a, b)
	}
	return bytes.Equal(words(printed), words(said))
}

// contains reports whether what a page says of a value is true of it.
func contains(value, said any) bool {
	switch said := said.(type) {
	case map[string]any:
		value, _ := value.(map[string]any)
		for name, of := range said {
			if it, there := value[name]; !there || !contains(it, of) {
				return false
			}
		}
		return value != nil
	case []any:
		value, is := value.([]any)
		return is && len(value) >= len(said) && (len(said) == 0 || contains(value[0], said[0]))
	case string:
		_, is := value.(string)
		return is
	case float64:
		_, is := value.(float64)
		return is
	default:
		return value == said
	}
}

// words leaves what is another each time out of a text.
func words(text string) []byte {
	text = regexp.MustCompile(`"at":"[^"]*"|"remote_addr":"[^"]*"|"epoch":\d+|\d{10,}`).ReplaceAllString(text, "")
	lines := strings.Fields(text)
	return []byte(strings.Join(slices.DeleteFunc(lines, func(s string) bool { return s == "" }), " "))
}
