package store

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// What is stored of a record's data begins with a byte that says how the rest is to
// be read, and a CRC-32C of the key and the data. The engine has a checksum of its
// own, but does not look at it wherever it reads: with this one, no byte that has
// changed on the disk is ever taken for a record.
const (
	recordFormat = 1
	recordHead   = 1 + 4
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errDamaged = errors.New("store: the record is damaged")
)

func encode(key string, data []byte) []byte {
	b := make([]byte, recordHead, recordHead+len(data))
	b[0] = recordFormat
	binary.BigEndian.PutUint32(b[1:], checksum(key, data))
	return append(b, data...)
}

// decode returns the data in b, which it shares.
func decode(key string, b []byte) ([]byte, error) {
	if len(b) < recordHead || b[0] != recordFormat ||
		binary.BigEndian.Uint32(b[1:]) != checksum(key, b[recordHead:]) {
		return nil, errDamaged
	}
	return b[recordHead:], nil
}

func checksum(key string, data []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(key), castagnoli), castagnoli, data)
}
