package frame_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImports keeps the codec free of networks and of other people's code. It is
// bytes in and bytes out: a program for a serial line, a file or a board that has
// no network can use it, and whoever reviews what parses a stranger's bytes has
// this package and the standard library to read.
func TestImports(t *testing.T) {
	const self = "github.com/longwire/longwire/frame"
	goCommand, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go command, which lists the imports, is not here")
	}
	out, err := exec.Command(goCommand, "list", "-deps", "-f", "{{.ImportPath}} {{.Standard}}", self).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		path, standard, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case path == "net" || strings.HasPrefix(path, "net/"):
			t.Errorf("package frame depends on %s; it knows io, not net", path)
		case standard != "true" && path != self:
			t.Errorf("package frame depends on %s; it uses the standard library alone", path)
		}
	}
}
