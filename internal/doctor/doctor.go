// Package doctor looks at a machine and at a configuration, and says what would keep a
// gateway there from holding its boards: what was found, what it means, and what to
// change. It only looks: it changes nothing, and leaves nothing behind.
package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/longwire/longwire/internal/config"
)

// A Status says how bad something is.
type Status string

const (
	OK      Status = "ok"
	Note    Status = "note"    // good to know, or could not be looked at
	Warning Status = "warning" // will hurt when there are many boards, or some day
	Problem Status = "problem" // hurts now, or keeps the gateway from starting
)

// A Finding is what one check has found.
type Finding struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	Found  string `json:"found"`
	Means  string `json:"means,omitempty"`  // for longwire
	Change string `json:"change,omitempty"` // the command or the setting
}

// A Machine is where the checks get what they look at. [This] is the one that the
// program runs on. A func that is nil is for what such a system does not tell.
type Machine struct {
	Files fs.FS // what is below /, for proc and sys
	OS    string
	CPUs  int // that the program may use
	// Getenv returns a variable of the environment.
	Getenv func(name string) string
	// Descriptors returns how many files the process may open.
	Descriptors func() (int, error)
	// Clock tells whether the clock is kept right, and by how much it may be wrong.
	Clock func() (synchronised bool, wrong time.Duration, err error)
	Now   func() time.Time
	// Disk tells about the file system that a directory is on.
	Disk func(dir string) (Disk, error)
	// Sync writes 4 KiB and waits until they are on the disk, again and again for at
	// most two seconds, and returns how long each took. It leaves no file behind.
	Sync func(ctx context.Context, dir string) ([]time.Duration, error)
	// Bind returns why nothing could listen on an address.
	Bind func(address string) error
	// Stat and ReadFile are for the files that the configuration names.
	Stat     func(name string) (fs.FileInfo, error)
	ReadFile func(name string) ([]byte, error)
}

// A Disk is a file system.
type Disk struct {
	Type     string // as in ext4
	Free     int64  // bytes that this user may write
	Writable bool   // by this user
}

// What a board that rests costs, from docs/performance.md.
const (
	boardBytes    = 2_000  // in the gateway, with what is kept
	portableBytes = 10_500 // more, with TLS or where there is no epoll
)

// Look makes all checks. File is where the configuration is from, empty for none.
func Look(ctx context.Context, m *Machine, c *config.Config, file string) []Finding {
	l := &look{m: m, c: c}
	l.descriptors()
	l.backlog()
	l.ports()
	l.keepAlive()
	l.conntrack()
	l.sockets()
	l.memory()
	l.processors()
	l.clock()
	l.data(ctx)
	l.addresses()
	l.certificates()
	l.settings(file)
	return l.found
}

// look is one round of checks.
type look struct {
	m      *Machine
	c      *config.Config
	found  []Finding
	boards int  // that there may be
	chosen bool // somebody has said how many
}

func (l *look) say(check string, status Status, found, means, change string) {
	l.found = append(l.found, Finding{check, status, found, means, change})
}

// cannot says that something could not be looked at.
func (l *look) cannot(check, what string) {
	why := what + " cannot be looked at here"
	if l.m.OS != "linux" {
		why = what + " can only be looked at on Linux"
	}
	l.say(check, Note, why, "", "")
}

// numbers reads a file with numbers, none if there is no such file.
func (l *look) numbers(name string) (all []int) {
	b, err := fs.ReadFile(l.m.Files, name)
	if err != nil {
		return nil
	}
	for word := range strings.FieldsSeq(string(b)) {
		n, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			return nil
		}
		all = append(all, int(min(n, math.MaxInt)))
	}
	return all
}

// number reads a file with a number, false if there is no such file.
func (l *look) number(name string) (int, bool) {
	if all := l.numbers(name); len(all) > 0 {
		return all[0], true
	}
	return 0, false
}

// sysctl reads a setting of the kernel.
func (l *look) sysctl(name string) (int, bool) {
	return l.number("proc/sys/" + strings.ReplaceAll(name, ".", "/"))
}

// thousands writes 65536 as 65,536.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// size writes bytes for people.
func size[N int | int64](n N) string {
	switch f := float64(n); {
	case f >= 1<<30:
		return fmt.Sprintf("%.1f GiB", f/(1<<30))
	case f >= 1<<20:
		return fmt.Sprintf("%.0f MiB", f/(1<<20))
	}
	return fmt.Sprintf("%.0f KiB", float64(n)/1024)
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return thousands(n) + " " + what
}
