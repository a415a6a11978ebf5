package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// mend looks at every record of every log before the engine does. Where one is
// damaged the engine, if it notices at all, gives up all behind it in the same block
// of some megabytes, and cuts the file there. So a damaged stretch is turned into an
// erased record, which it passes over; the file as it was is kept.
//
// A block that is damaged to its end is left to the engine: that is how a crash
// leaves the last one, and then it held nothing that was acknowledged.
func (s *Store) mend() error {
	for _, l := range s.conf.Logs {
		dir := filepath.Join(s.streamsDir(), streamName(l.Name), "msgs")
		blocks, err := blockIndexes(dir)
		if err != nil {
			return fmt.Errorf("store: log %s: %w", l.Name, err)
		}
		hurt := Damage{Log: l.Name}
		for i, index := range blocks {
			if err := s.mendBlock(&hurt, dir, index, i == len(blocks)-1); err != nil {
				return fmt.Errorf("store: log %s: %w", l.Name, err)
			}
		}
		hurt.endsAt(0)
		if hurt.Blocks == 0 {
			continue
		}
		// It counts what was there before.
		if err := os.Remove(filepath.Join(dir, "index.db")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("store: log %s: %w", l.Name, err)
		}
		s.noteLost(func(lost *Lost) { lost.Damage = append(lost.Damage, hurt) })
		s.log.Warn("a log is damaged, and goes on without what was lost", "log", l.Name, "lost", hurt.Records, "bytes", hurt.Bytes, "blocks", hurt.Blocks, "kept", hurt.Kept)
	}
	return nil
}

// blockIndexes returns the numbers of the blocks in a directory, in their order.
func blockIndexes(dir string) ([]uint32, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var indexes []uint32
	for _, entry := range entries {
		var index uint32
		if n, _ := fmt.Sscanf(entry.Name(), "%d.blk", &index); n == 1 && entry.Name() == blockName(index) {
			indexes = append(indexes, index)
		}
	}
	slices.Sort(indexes)
	return indexes, err
}

func blockName(index uint32) string { return fmt.Sprintf("%d.blk", index) }

// mendBlock mends one block, and adds to what was hurt.
func (s *Store) mendBlock(hurt *Damage, dir string, index uint32, last bool) error {
	path := filepath.Join(dir, blockName(index))
	contents, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b, err := newBlock(contents, hurt.Log, index, hurt.last)
	if err != nil {
		return err
	}
	gaps := b.gaps()
	hurt.endsAt(b.first)
	hurt.last = b.last
	if n := len(gaps); last && n > 0 && gaps[n-1].to == len(contents) {
		gaps = gaps[:n-1]
	}
	if len(gaps) == 0 {
		return nil
	}
	if hurt.Kept == "" {
		hurt.Kept = s.asideName(hurt.Log)
		if err := os.MkdirAll(hurt.Kept, dirMode); err != nil {
			return err
		}
	}
	if err := writeFile(filepath.Join(hurt.Kept, blockName(index)), contents); err != nil {
		return err
	}
	hurt.Blocks++
	erased := false
	for _, g := range gaps {
		hurt.Bytes += int64(g.to - g.from)
		erased = b.erase(g) || erased
		if g.to == len(contents) {
			hurt.open = g
			continue
		}
		hurt.Records += g.lost
	}
	if !erased {
		return nil
	}
	if err := writeFile(path+".mended", b.bytes); err != nil {
		return err
	}
	return os.Rename(path+".mended", path)
}

// endsAt counts what was lost at the end of the block before, now that the first
// number behind it is known, or 0 if that is not to be known.
func (d *Damage) endsAt(next uint64) {
	if d.open.lost == 0 {
		return
	}
	if next > d.open.seq {
		d.open.lost = next - d.open.seq
	}
	d.Records += d.open.lost
	d.open = gap{}
}

// writeFile writes a file and waits until it is on the disk.
func writeFile(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	return err
}

// asideName returns where hurt files of a log are kept.
func (s *Store) asideName(log string) string {
	return filepath.Join(s.conf.Dir, fmt.Sprintf("hurt-%s-%s", log, time.Now().UTC().Format("20060102T150405.000")))
}
