package main

import (
	"net"
	"strings"
	"testing"
)

func TestWelcomeTellsANewcomerWhatToDo(t *testing.T) {
	for _, test := range []struct {
		name string
		info welcomeInfo
		want string
	}{
		{"as it comes", welcomeInfo{
			version: "v1.2.3", host: "192.0.2.7", loopbackOnly: true, hls: true, flv: true, watch: true,
			rtmp: "[::]:1935", http: "[::]:8080", admin: "127.0.0.1:8081",
		}, `Headwater v1.2.3 is ready.

Publish from this machine (from others with --auth.publish=open)
  OBS server       rtmp://127.0.0.1/live
  OBS stream key   test
  ffmpeg           ffmpeg -re -i FILE -c copy -f flv rtmp://127.0.0.1/live/test

Watch
  In a browser     http://192.0.2.7:8080/live/test
  HLS              http://192.0.2.7:8080/live/test/index.m3u8
  HTTP-FLV         http://192.0.2.7:8080/live/test.flv

Manage
  Console          http://127.0.0.1:8081/
  API              http://127.0.0.1:8081/api/v1/streams
  Metrics          http://127.0.0.1:8081/metrics

`},
		{"with other ports, TLS and everybody", welcomeInfo{
			version: "v1.2.3", host: "2001:db8::7", hls: true,
			rtmp: "0.0.0.0:19350", rtmps: "[::]:443", http: ":80", https: ":443",
		}, `Headwater v1.2.3 is ready.

Publish
  OBS server       rtmp://[2001:db8::7]:19350/live
    or over TLS    rtmps://[2001:db8::7]/live
  OBS stream key   test
  ffmpeg           ffmpeg -re -i FILE -c copy -f flv rtmp://[2001:db8::7]:19350/live/test

Watch
  HLS              http://[2001:db8::7]/live/test/index.m3u8

`},
		{"with TLS alone, on a name", welcomeInfo{
			version: "v1.2.3", host: "192.0.2.7", flv: true, rtmps: "media.example.org:4430", https: "media.example.org:8443",
		}, `Headwater v1.2.3 is ready.

Publish
  OBS server       rtmps://media.example.org:4430/live
  OBS stream key   test
  ffmpeg           ffmpeg -re -i FILE -c copy -f flv rtmps://media.example.org:4430/live/test

Watch
  HTTP-FLV         https://media.example.org:8443/live/test.flv

`},
	} {
		var b strings.Builder
		if err := welcome(&b, test.info); err != nil {
			t.Fatal(err)
		}
		if b.String() != test.want {
			t.Errorf("%s:\n%s\nwant:\n%s", test.name, b.String(), test.want)
		}
	}
}

func TestTheReachableHostIsTheFirstThatOthersCanUse(t *testing.T) {
	addrs := func(cidrs ...string) (all []net.Addr) {
		for _, c := range cidrs {
			ip, network, err := net.ParseCIDR(c)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, &net.IPNet{IP: ip, Mask: network.Mask})
		}
		return all
	}
	for want, list := range map[string][]net.Addr{
		"192.0.2.7":   addrs("127.0.0.1/8", "::1/128", "2001:db8::7/64", "169.254.1.1/16", "192.0.2.7/24", "10.0.0.1/8"),
		"2001:db8::7": addrs("127.0.0.1/8", "fe80::1/64", "2001:db8::7/64"),
		"localhost":   addrs("127.0.0.1/8", "::1/128"),
	} {
		if got := chooseHost(list); got != want {
			t.Errorf("of %v: %s, want %s", list, got, want)
		}
	}
}
