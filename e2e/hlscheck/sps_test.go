package hlscheck

import "testing"

// The sets are x264's.
func TestParseSPSReadsProfileAndSize(t *testing.T) {
	for name, c := range map[string]struct {
		sps  string
		want videoFormat
	}{
		"Main, 180 lines, cropped":    {"674d400cd901419f9f011000000300100000030320f142a480", videoFormat{"avc1.4d400c", 320, 180}},
		"Main, 144 lines":             {"674d400cd901013b011000000300100000030320f142a480", videoFormat{"avc1.4d400c", 256, 144}},
		"High, 1080 lines, cropped":   {"67640028acd940780227e5c044000003000400000300c83c60c658", videoFormat{"avc1.640028", 1920, 1080}},
		"High, 576 lines, interlaced": {"6764001eacd940b424d8088000000300800000190f8a14cb", videoFormat{"avc1.64001e", 720, 576}},
		"High 4:4:4, 360 lines":       {"67f4001e919b281405ff1380880000030008000003019078b16cb0", videoFormat{"avc1.f4001e", 640, 360}},
		"Baseline, 288 lines":         {"6742c00dd9016096c044000003000400000300c83c50a920", videoFormat{"avc1.42c00d", 352, 288}},
	} {
		if got, err := parseSPS(unhex(c.sps)); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	if _, err := parseSPS(unhex("674d400cd901")); err == nil {
		t.Error("a set that is cut short passes")
	}
}
