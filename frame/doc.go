// Package frame cuts a stream of bytes into frames and makes frames into bytes.
//
// A frame has a head, a length, a type, data and a tail. The default one is
//
//	| head | length | type   | data           | tail |
//	| 0xC8 | uint32 | uint16 | length-8 bytes | 0xC9 |
//
// with big-endian numbers and a length that counts the whole frame, head to
// tail; the smallest is 8 bytes. A [Format] describes other frames of the same
// kind: other head and tail bytes, a length of another width, place, order or
// meaning, another type field, a checksum before the tail. [NewCodec] refuses a
// Format that could not be decoded without ambiguity and says which field is at
// fault.
//
// A [Codec] is a pair of pure functions over bytes, [Codec.Append] and
// [Codec.Parse]. A [Decoder] adds what a stream needs, the policy for bytes that
// are no frame and the position in the stream, still without I/O. [Reader] and
// [Writer] put both over io. Each layer needs only the ones before it.
//
// # Bytes that are no frame
//
// Head and tail may also stand inside the data: the length delimits, head and
// tail only check. When they do not fit, or the length is impossible, the
// position in the stream is lost. What happens then is a choice: without
// [Config.Resync] the stream is over at once; with it, bytes are skipped up to
// the next offset at which a whole frame validates, up to a budget, and counted.
//
// Resync takes what validates. Bytes that look like the beginning of a frame are
// waited for, up to the limit, and until they are known to be none the frames
// behind them are held back: at the end of the stream these may be lost. In the
// data of a damaged frame, whole frames may be found that were only its data. A
// small limit and a checksum make both rarer.
//
// # Memory
//
// The length is compared with the smallest frame and with the limit, unsigned,
// before anything is allocated, and buffers grow with the bytes that have
// arrived, never with the length that a peer declares. Neither parsing nor
// appending a frame of the default format allocates; the data of a parsed frame
// is a window into the bytes it was parsed from.
package frame
