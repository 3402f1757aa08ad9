package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/headwater-live/headwater/auth"
)

// shortToken is the least length of a token that nobody finds by trying; package admin treats shorter ones otherwise.
const shortToken = 16

// Warnings returns what is valid and yet unwise: secrets in files that others can read, and questions about who may come
// in that travel where others can read and change them. It looks at the files as they are now, and shows no secret.
//
// These files are not refused, as those are that have nothing but secrets: keys of certificates and a configuration may
// be mounted with a mode that nobody here can change.
func (c Config) Warnings() []string {
	var all []string
	for _, l := range []struct {
		key string
		TLSListener
	}{{"rtmps.key", c.RTMPS}, {"https.key", c.HTTPS}} {
		if l.Enabled() && errors.Is(auth.CheckSecretFile(l.Key), auth.ErrFileMode) {
			all = append(all, fmt.Sprintf("%s: %s: %v", l.key, l.Key, auth.ErrFileMode))
		}
	}
	for file, keys := range c.secretsInFiles() {
		if errors.Is(auth.CheckSecretFile(file), auth.ErrFileMode) {
			all = append(all, fmt.Sprintf("%s has secrets (%s): %v", file, strings.Join(keys, ", "), auth.ErrFileMode))
		}
	}
	for key, address := range map[string]string{"auth.jwks_url": c.Auth.JWKSURL, "auth.callback_url": c.Auth.CallbackURL} {
		if travelsOpenly(address) {
			all = append(all, key+": http:// to another machine: whoever is on the way can read what is shown, and say who comes in; use https://")
		}
	}
	if token, err := c.Admin.ReadToken(); err == nil && token != "" && len(token) < shortToken {
		all = append(all, fmt.Sprintf("admin.token has less than %d characters: after ten wrong ones from an address, nobody from there is heard for a minute", shortToken))
	}
	slices.Sort(all)
	return all
}

// secretsInFiles returns the keys of secrets by the configuration file that they came from.
func (c Config) secretsInFiles() map[string][]string {
	files := map[string][]string{}
	for _, s := range table {
		origin := c.origins[s.key]
		colon := strings.LastIndexByte(origin, ':') // FILE:LINE, unlike those of flags and of the environment
		value := s.bind(&c).get()
		if strings.HasSuffix(s.key, "_url") && !strings.ContainsAny(value, "@?") {
			continue // it may have a password or a key in it, and does not
		}
		if s.secret && colon > 0 && value != "" {
			files[origin[:colon]] = append(files[origin[:colon]], s.key)
		}
	}
	return files
}

// travelsOpenly reports whether requests to a URL leave the machine in plain text.
func travelsOpenly(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() != "localhost" && (err != nil || !ip.Unmap().IsLoopback())
}
