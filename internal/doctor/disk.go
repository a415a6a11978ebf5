package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// data looks at where things are kept.
func (l *look) data(ctx context.Context) {
	dir := string(l.c.Data)
	switch {
	case l.c.Store.URL != "":
		l.say("data", OK, "it is kept by the server at "+l.c.Store.URL.String(), "how safe it is there is that server's affair", "")
		return
	case dir == "":
		l.say("data", Note, "data is off", "nothing is kept beyond the end of the process: no commands for boards that are away", "set data to a directory")
		return
	}
	at, exists := l.nearest(dir)
	name := dir
	if !exists {
		name = dir + " (which serve will make in " + at + ")"
	}
	if info, err := l.m.Stat(at); err == nil && !info.IsDir() {
		l.say("data", Problem, at+" is no directory", "serve does not start", "name another directory in data")
		return
	}
	if l.m.Disk == nil {
		l.cannot("data", "the file system of "+dir)
		l.speed(ctx, name, at)
		return
	}
	disk, err := l.m.Disk(at)
	if err != nil {
		l.say("data", Problem, fmt.Sprintf("%s cannot be looked at: %v", name, cause(err)), "serve does not start without it", "name a directory in data that this user may write to")
		return
	}
	if !disk.Writable {
		l.say("data", Problem, name+" is not writable for this user", "serve does not start; run doctor as the user that serve runs as",
			"chown it, or name another directory in data")
		return
	}
	l.fileSystem(name, disk.Type)
	l.space(name, dir, disk)
	l.speed(ctx, name, at)
}

// nearest returns the directory, or the one above it in which it would be made.
func (l *look) nearest(dir string) (at string, exists bool) {
	at, exists = filepath.Clean(dir), true
	for {
		if _, err := l.m.Stat(at); err == nil {
			return at, exists
		}
		exists = false
		if up := filepath.Dir(at); up != at {
			at = up
			continue
		}
		return at, exists
	}
}

// fileSystem looks at what kind it is.
func (l *look) fileSystem(name, kind string) {
	switch kind {
	case "tmpfs", "ramfs":
		l.say("file system", Warning, name+" is on "+kind+", which is memory", "what is kept is gone with the next start of the machine", "name a directory on a disk in data")
	case "overlay":
		l.say("file system", Warning, name+" is on overlay, as in a container without a volume", "what is kept is gone with the container", "mount a volume, and name it in data")
	case "nfs", "cifs", "smb2", "fuse", "9p", "virtiofs":
		l.say("file system", Warning, name+" is on "+kind, "whether what was written is on a disk is up to another machine or program, and locks may not hold; two gateways must not have the same directory",
			"name a directory on a local disk in data")
	case "":
		l.cannot("file system", "the kind of file system")
	default:
		l.say("file system", OK, name+" is on "+kind, "", "")
	}
}

// space compares what is free with what may be kept.
func (l *look) space(name, dir string, disk Disk) {
	kept := used(dir)
	most, reserve := int64(l.c.Commands.MaxSize)+int64(l.c.Events.MaxSize), max(0, int64(l.c.Store.Reserve))
	found := fmt.Sprintf("%s has %s free and holds %s; commands and events may take %s, and %s stay free", name, size(disk.Free), size(kept), size(most), size(reserve))
	switch {
	case disk.Free < reserve+1<<20:
		l.say("disk space", Problem, found, "nothing is kept: new commands are refused, and so are events that must be kept", "make room, or lower store.reserve")
	case disk.Free+kept < most+reserve:
		l.say("disk space", Warning, found, "the disk is full before the limits are reached; then new commands are refused",
			fmt.Sprintf("make room, or set commands.max_size and events.max_size to %d together", max(0, disk.Free+kept-reserve)))
	default:
		l.say("disk space", OK, found, "", "")
	}
}

// used returns the bytes in a directory, as far as it can be read.
func used(dir string) (n int64) {
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // what cannot be read counts as nothing
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return nil
	})
	return n
}

// speed measures how long it takes until something is on the disk.
func (l *look) speed(ctx context.Context, name, at string) {
	if l.m.Sync == nil {
		l.cannot("disk speed", "how fast the disk is")
		return
	}
	took, err := l.m.Sync(ctx, at)
	if err != nil || len(took) == 0 {
		l.say("disk speed", Warning, fmt.Sprintf("cannot write to %s: %v", name, cause(err)), "serve cannot keep anything there", "name another directory in data")
		return
	}
	slices.Sort(took)
	median, worst := took[len(took)/2], took[len(took)-1]
	rate := int(time.Second / max(median, time.Microsecond))
	found := fmt.Sprintf("4 KiB are on the disk after %v (the median of %d; the slowest took %v)", short(median), len(took), short(worst))
	means := fmt.Sprintf("a program that waits for each command gets about %s a second; many at a time share a write, and get several times as many", thousands(rate))
	switch {
	case median < 20*time.Microsecond:
		l.say("disk speed", Note, found, "no disk is that fast: a power cut may take what was acknowledged, unless the disk has a battery", "see that write barriers are on, and that this is no memory")
	case median > 50*time.Millisecond:
		l.say("disk speed", Warning, found, means, "put data on an SSD, or on a disk that less else is written to")
	case worst > time.Second:
		l.say("disk speed", Warning, found, "now and then commands and events wait for that long", "see what else writes to that disk (iostat -x 1)")
	default:
		l.say("disk speed", OK, found, means, "")
	}
}

func short(d time.Duration) time.Duration {
	if d < time.Millisecond {
		return d.Round(time.Microsecond)
	}
	return d.Round(10 * time.Microsecond)
}

// cause returns an error without the name of what it is about.
func cause(err error) error {
	if e, ok := err.(*os.PathError); ok {
		return e.Err
	}
	return err
}
