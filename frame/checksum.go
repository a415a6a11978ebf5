package frame

import "hash/crc32"

// ChecksumKind is the algorithm of a [Checksum].
type ChecksumKind uint8

const (
	NoChecksum      ChecksumKind = iota
	Sum8                         // sum of the bytes, modulo 256; 1 byte
	Xor8                         // exclusive or of the bytes; 1 byte
	CRC16Modbus                  // CRC-16/MODBUS: polynomial 0x8005 reflected, start 0xFFFF; 2 bytes, check value 0x4B37
	CRC16CCITTFalse              // CRC-16/CCITT-FALSE (IBM-3740): polynomial 0x1021, start 0xFFFF; 2 bytes, check value 0x29B1
	CRC32                        // CRC-32 (ISO-HDLC), as in Ethernet and zip; 4 bytes, check value 0xCBF43926
)

// width is the number of bytes that a checksum takes on the wire.
func (k ChecksumKind) width() int {
	switch k {
	case NoChecksum:
		return 0
	case Sum8, Xor8:
		return 1
	case CRC16Modbus, CRC16CCITTFalse:
		return 2
	}
	return 4
}

// sum returns the checksum of b.
func (k ChecksumKind) sum(b []byte) uint32 {
	switch k {
	case Sum8:
		var s uint8
		for _, c := range b {
			s += c
		}
		return uint32(s)
	case Xor8:
		var s uint8
		for _, c := range b {
			s ^= c
		}
		return uint32(s)
	case CRC16Modbus:
		crc := uint16(0xFFFF)
		for _, c := range b {
			crc = crc>>8 ^ modbusTable[byte(crc)^c]
		}
		return uint32(crc)
	case CRC16CCITTFalse:
		crc := uint16(0xFFFF)
		for _, c := range b {
			crc = crc<<8 ^ ccittTable[byte(crc>>8)^c]
		}
		return uint32(crc)
	case CRC32:
		return crc32.ChecksumIEEE(b)
	}
	return 0
}

// modbusTable has the remainder of every byte for the reflected polynomial
// 0xA001, ccittTable for 0x1021, most significant bit first.
var modbusTable, ccittTable = func() (reflected, forward [256]uint16) {
	for i := range 256 {
		r, f := uint16(i), uint16(i)<<8
		for range 8 {
			if r&1 != 0 {
				r = r>>1 ^ 0xA001
			} else {
				r >>= 1
			}
			if f&0x8000 != 0 {
				f = f<<1 ^ 0x1021
			} else {
				f <<= 1
			}
		}
		reflected[i], forward[i] = r, f
	}
	return reflected, forward
}()
