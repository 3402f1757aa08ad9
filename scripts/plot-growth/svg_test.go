package main

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

func TestThePictureShowsEveryPoint(t *testing.T) {
	points := []point{{Count: 1, CPUPercent: 0.3, RSS: 20e6}, {Count: 10, CPUPercent: 1.2, RSS: 21e6}, {Count: 5000, CPUPercent: 47, RSS: 130e6}}
	picture, err := plot("Viewers & <more>", points)
	if err != nil {
		t.Fatal(err)
	}
	circles, texts := 0, ""
	for d := xml.NewDecoder(strings.NewReader(string(picture))); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("not XML: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local == "circle" {
				circles++
			}
		case xml.CharData:
			texts += string(token) + "\n"
		}
	}
	if circles != 2*len(points) {
		t.Errorf("%d circles", circles)
	}
	for _, want := range []string{"Viewers & <more>", "0.3", "1.2", "47", "130", "10000"} {
		if !strings.Contains(texts, want+"\n") {
			t.Errorf("%q is not written", want)
		}
	}
}

func TestLinearGrowthIsAsSteepAsTheDottedLines(t *testing.T) {
	p := panel{x: []float64{1, 1000}, y: []float64{0.1, 100}}
	p.scale()
	x1, y1 := p.at(1, 0.1)
	x2, y2 := p.at(10, 1)
	x3, y3 := p.at(100, 10)
	if x2-x1 != x3-x2 || y2-y1 != y3-y2 {
		t.Errorf("%g,%g %g,%g %g,%g", x1, y1, x2, y2, x3, y3)
	}
}

func TestWhatIsNoPointIsRefused(t *testing.T) {
	for _, points := range [][]point{nil, {{Count: 1, RSS: 1}}, {{Count: 1, RSS: 1}, {Count: 0, RSS: 1}}, {{Count: 1, RSS: 1}, {Count: 2}}} {
		if _, err := plot("", points); err == nil {
			t.Errorf("%v is drawn", points)
		}
	}
}
