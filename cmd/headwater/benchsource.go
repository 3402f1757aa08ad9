package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/headwater-live/headwater/load"
)

// maxBenchFile bounds a file that is published by bench, which is kept in memory: an hour at 2 Mbit/s.
const maxBenchFile = 1 << 30

// source is what is published.
func (o *benchOptions) source() (load.Source, error) {
	if o.file != "" {
		return readClip(o.file)
	}
	c := load.SynthConfig{FPS: o.fps, GOP: o.gop}
	var err error
	if c.Bitrate, err = parseBits(o.bitrate); err != nil {
		return nil, fmt.Errorf("--bitrate: %w", err)
	}
	if c.AudioBitrate, err = parseBits(o.audio); err != nil {
		return nil, fmt.Errorf("--audio: %w", err)
	}
	if c.AudioBitrate == 0 {
		c.AudioBitrate = -1
	}
	width, height, _ := strings.Cut(o.size, "x")
	c.Width, err = strconv.Atoi(width)
	if err == nil {
		c.Height, err = strconv.Atoi(height)
	}
	if err != nil || c.FPS < 1 || c.GOP <= 0 || c.Bitrate < 1 {
		return nil, errors.New("--size is WIDTHxHEIGHT, and --fps, --gop and --bitrate are more than 0")
	}
	return load.NewSynth(c)
}

// parseBits reads a number of bits per second: 600000, 600k, 2.6M.
func parseBits(s string) (int, error) {
	unit := 1.0
	number := s
	switch {
	case strings.HasSuffix(s, "k"):
		unit, number = 1e3, s[:len(s)-1]
	case strings.HasSuffix(s, "M"):
		unit, number = 1e6, s[:len(s)-1]
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v >= 0 && v*unit <= 1e9) {
		return 0, fmt.Errorf("%q is no number of bits per second up to 1000M, such as 600k or 2.6M", s)
	}
	return int(v * unit), nil
}

// readClip reads a file whole.
func readClip(path string) (load.Source, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, failure{err}
	}
	defer file.Close() //nolint:errcheck // only read
	clip, err := clipOf(file)
	if err != nil {
		return nil, failure{fmt.Errorf("%s: %w", path, err)}
	}
	return clip, nil
}

func clipOf(r io.Reader) (*load.Clip, error) {
	limited := &io.LimitedReader{R: r, N: maxBenchFile}
	tags, err := newFLVFile(limited)
	if err != nil {
		return nil, err
	}
	clock := newFileClock()
	var read []load.Tag
	for {
		tag, err := tags.next()
		if limited.N == 0 {
			return nil, fmt.Errorf("more than %d MiB", maxBenchFile>>20)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		at := clock.at(tag)
		read = append(read, load.Tag{Kind: tag.kind, At: at, Body: bytes.Clone(tag.body)})
	}
	return load.NewClip(read, clock.latest+clock.frame())
}
