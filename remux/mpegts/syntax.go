package mpegts

// role is what a NALU is to the packetiser: bits, of which a slice at which decoding can
// start has two.
type role uint8

// The roles, and none for what is only passed on.
const (
	isSlice  role = 1 << iota
	starts        // decoding can start at this picture
	isVPS         // parameter sets, by kind
	isSPS         //
	isPPS         //
	delimits      // an access unit delimiter
)

// syntax is what differs between codecs: which NALU is what, by the first byte of its
// header, and how an access unit begins.
type syntax struct {
	roles [256]role
	// needs are the parameter sets without which decoding cannot start.
	needs role
	// delimiter is an access unit delimiter for slices of any type, with its start code.
	delimiter []byte
}

// syntaxH264 is of ITU-T H.264, table 7-1 and 7.3.2.4.
var syntaxH264 = makeSyntax(isSPS|isPPS, []byte{0, 0, 0, 1, 9, 0xF0}, func(header byte) role {
	switch t := header & 0x1F; {
	case t == 5:
		return isSlice | starts
	case t >= 1 && t <= 4:
		return isSlice
	case t == 7:
		return isSPS
	case t == 8:
		return isPPS
	case t == 9:
		return delimits
	}
	return 0
})

// syntaxHEVC is of ITU-T H.265, table 7-1 and 7.3.2.5. The types 16 to 21 are IRAP
// pictures: BLA, IDR and CRA.
var syntaxHEVC = makeSyntax(isVPS|isSPS|isPPS, []byte{0, 0, 0, 1, 35 << 1, 1, 0x50}, func(header byte) role {
	switch t := header >> 1 & 0x3F; {
	case t >= 16 && t <= 21:
		return isSlice | starts
	case t <= 31:
		return isSlice
	case t == 32:
		return isVPS
	case t == 33:
		return isSPS
	case t == 34:
		return isPPS
	case t == 35:
		return delimits
	}
	return 0
})

func makeSyntax(needs role, delimiter []byte, roleOf func(header byte) role) *syntax {
	s := &syntax{needs: needs, delimiter: delimiter}
	for header := range s.roles {
		s.roles[header] = roleOf(byte(header))
	}
	return s
}

// syntax returns that of the video track.
func (m *Muxer) syntax() *syntax {
	if m.video.kind == HEVC {
		return syntaxHEVC
	}
	return syntaxH264
}
