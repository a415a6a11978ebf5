package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"strings"

	"github.com/minio/highwayhash"
)

// The engine keeps messages in blocks, files of one record after another:
//
//	length 4 | sequence 8 | time 8 | subject length 2 | subject | message | hash 8
//
// all little-endian. The highest bit of the length says that the message begins with
// headers, behind the length of those, which the hash leaves out. The two highest of
// the sequence number mark a record that was erased, and one that says that an
// earlier record was deleted.
const (
	blockHead  = 22
	blockHash  = 8
	blockEmpty = blockHead + blockHash
	blockMost  = 32 << 20 // bytes of a record

	headersBit = 1 << 31
	erasedBit  = 1 << 63
	deletedBit = 1 << 62
)

// A gap is a stretch of a block that holds no whole record.
type gap struct {
	from, to int    // bytes; to the end of the block if that is where it ends
	seq      uint64 // the lowest number that a record in it can have had
	lost     uint64 // how many records that can have been, at the most
}

// A block is the contents of a file of the engine.
type block struct {
	bytes       []byte
	hash        hash.Hash64
	root        string // what the subjects of its log begin with
	first, last uint64 // of the records that are whole
}

// newBlock returns a block of a log, behind which are records up to the number last.
func newBlock(b []byte, log string, index uint32, last uint64) (*block, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", streamName(log), index))
	h, err := highwayhash.NewDigest64(key[:])
	return &block{bytes: b, hash: h, root: subjectRoot + log + ".", last: last}, err
}

// gaps returns where the block is damaged. The engine gives up a block from the
// first damage on; what is whole behind it can be found by its hash.
func (b *block) gaps() []gap {
	var gaps []gap
	for at := 0; at < len(b.bytes); {
		n, seq := b.record(at)
		if n > 0 {
			b.passed(seq)
			at += n
			continue
		}
		g := gap{from: at, to: at + 1, seq: b.last + 1}
		for ; g.to < len(b.bytes); g.to++ {
			if n, seq = b.record(g.to); n > 0 {
				break
			}
		}
		// No record is shorter than an empty one, which bounds how many there were.
		g.lost = uint64((g.to-g.from)/blockEmpty) + 1
		if n > 0 && seq&deletedBit == 0 {
			g.lost = min(g.lost, seq&^erasedBit-b.last-1)
		}
		gaps = append(gaps, g)
		at = g.to
	}
	return gaps
}

func (b *block) passed(seq uint64) {
	if seq&deletedBit == 0 {
		b.last = max(b.last, seq&^erasedBit)
		if b.first == 0 {
			b.first = b.last
		}
	}
}

// record returns the length and the number of the record at an offset, and 0 if
// there is no whole one.
func (b *block) record(at int) (n int, seq uint64) {
	p := b.bytes[at:]
	if len(p) < blockEmpty {
		return 0, 0
	}
	word := binary.LittleEndian.Uint32(p)
	length := int64(word &^ headersBit)
	if length < blockEmpty || length > blockMost || length > int64(len(p)) {
		return 0, 0
	}
	p = p[:length]
	seq = binary.LittleEndian.Uint64(p[4:])
	subject := int(binary.LittleEndian.Uint16(p[20:]))
	rest := p[blockHead : length-blockHash]
	message := subject
	if word&headersBit != 0 {
		message += 4
	}
	if message > len(rest) {
		return 0, 0
	}
	if !bytes.Equal(b.sum(p[4:20], rest[:subject], rest[message:]), p[length-blockHash:]) {
		return 0, 0
	}
	if seq&(erasedBit|deletedBit) == 0 && !b.ours(string(rest[:subject]), rest[subject:], word&headersBit != 0) {
		return 0, 0
	}
	return int(length), seq
}

// ours reports whether a message is as it was when it was written. The engine's hash
// does not cover the lengths of its parts.
func (b *block) ours(subject string, message []byte, headers bool) bool {
	if headers {
		n := int64(binary.LittleEndian.Uint32(message))
		message = message[4:]
		if n > int64(len(message)) {
			return false
		}
		message = message[n:]
	}
	key, found := strings.CutPrefix(subject, b.root)
	_, err := decode(swapDots(key), message)
	return found && err == nil
}

func (b *block) sum(parts ...[]byte) []byte {
	b.hash.Reset()
	for _, p := range parts {
		b.hash.Write(p)
	}
	return b.hash.Sum(nil)
}

// erase puts a record into a gap that says that it was erased, which is what the
// engine itself does with those it is told to. It returns false if none fits there.
func (b *block) erase(g gap) bool {
	if g.to-g.from < blockEmpty || g.to-g.from > blockMost || g.to == len(b.bytes) {
		return false
	}
	p := b.bytes[g.from:g.to]
	clear(p)
	binary.LittleEndian.PutUint32(p, uint32(len(p)))
	binary.LittleEndian.PutUint64(p[4:], g.seq|erasedBit)
	copy(p[len(p)-blockHash:], b.sum(p[4:20], p[blockHead:len(p)-blockHash]))
	return true
}
