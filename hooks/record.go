package hooks

import (
	"encoding/binary"
	"hash/crc32"
)

// A record of a queue file:
//
//	0               4               8
//	+---------------+---------------+-----------------+
//	| length, BE 32 | CRC-32C of it | body, an event  |
//	+---------------+---------------+-----------------+
const recordHeader = 8

// maxRecord bounds a body. An event has less than 2 KB.
const maxRecord = 64 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendRecord appends a body as a record.
func appendRecord(dst, body []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(body)))
	dst = binary.BigEndian.AppendUint32(dst, crc32.Checksum(body, castagnoli))
	return append(dst, body...)
}

// cutRecord cuts the first record off b; false if there is no whole and sound one.
func cutRecord(b []byte) (body, rest []byte, ok bool) {
	if len(b) < recordHeader {
		return nil, b, false
	}
	length, sum := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if length == 0 || length > maxRecord || uint64(len(b)-recordHeader) < uint64(length) {
		return nil, b, false
	}
	body = b[recordHeader : recordHeader+length]
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, b, false
	}
	return body, b[recordHeader+length:], true
}
