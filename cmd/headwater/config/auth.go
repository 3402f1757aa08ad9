package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/headwater-live/headwater/auth"
)

// PublishKeys reads the publish keys: those of the setting and those of the file.
func (a Auth) PublishKeys() ([]string, error) {
	var lines []string
	if a.Key != "" {
		if len(strings.Fields(a.Key)) != 1 || strings.HasPrefix(a.Key, "name:") {
			return nil, errors.New("auth.key is not one word")
		}
		lines = append(lines, "* "+a.Key)
	}
	if a.KeysFile != "" {
		data, err := auth.ReadSecretFile(a.KeysFile)
		if err != nil {
			return nil, err
		}
		lines = append(lines, auth.SecretLines(data)...)
	}
	return lines, nil
}

// Keys reads the publish keys, and checks them against the rules.
func (a Auth) Keys() (*auth.Keys, error) {
	lines, err := a.PublishKeys()
	if err != nil {
		return nil, err
	}
	keys, err := auth.ParseKeys(lines)
	if err != nil {
		return nil, err
	}
	for _, stream := range keys.ReservedStreams() {
		if !a.Publish.Ask(stream, PolicyKeys) {
			return nil, fmt.Errorf("%s has a name: key, but auth.publish has no keys for %[1]s: "+
				"who publishes under that key would be refused, or be seen under it", stream)
		}
	}
	return keys, nil
}

// Secrets reads the secrets that sign URLs. The first one signs.
func (a Auth) Secrets() ([]string, error) { return secrets(a.Secret, a.SecretFile) }

// secrets reads a setting and a file of secrets.
func secrets(secret, file string) ([]string, error) {
	var list []string
	if secret != "" {
		list = append(list, secret)
	}
	if file != "" {
		data, err := auth.ReadSecretFile(file)
		if err != nil {
			return nil, err
		}
		list = append(list, auth.SecretLines(data)...)
	}
	return list, nil
}

// JWTKeys reads the keys that verify tokens, but for those of the JWKS.
func (a Auth) JWTKeys() ([]auth.VerificationKey, error) {
	list, err := secrets(a.JWTSecret, a.JWTSecretFile)
	if err != nil {
		return nil, err
	}
	var keys []auth.VerificationKey
	for _, secret := range list {
		k, err := auth.SecretKey(secret)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if a.JWTKeysFile != "" {
		data, err := auth.ReadKeyFile(a.JWTKeysFile)
		if err != nil {
			return nil, err
		}
		public, err := auth.PublicKeys(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.JWTKeysFile, err)
		}
		keys = append(keys, public...)
	}
	return keys, nil
}

// ReadToken returns the bearer token of the private listener, from the setting or the file.
func (a Admin) ReadToken() (string, error) {
	list, err := secrets(a.Token, a.TokenFile)
	switch {
	case err != nil:
		return "", err
	case len(list) > 1:
		return "", errors.New("there is more than one token")
	case len(list) == 0:
		return "", nil
	}
	return list[0], nil
}

// checkAuth finds policies without what they need, and files that cannot be read.
func (c Config) checkAuth(add adder) {
	a := c.Auth
	uses := func(p Policy) string {
		switch {
		case a.Publish.Uses(p):
			return "auth.publish"
		case a.Watch.Uses(p):
			return "auth.watch"
		}
		return ""
	}
	need := func(p Policy, key string, other string, has bool) {
		if by := uses(p); by != "" && !has {
			add(key, by, "is required because %s has %s%s", by, p, other)
		}
	}
	keys, err := a.PublishKeys()
	if err == nil {
		_, err = a.Keys()
	}
	if err != nil {
		add("auth.keys_file", "auth.key", "%w", err)
	}
	need(PolicyKeys, "auth.keys_file", " (or set auth.key)", len(keys) > 0 || err != nil || a.KeysFile != "")

	signing, err := a.Secrets()
	if err == nil && len(signing) > 0 {
		_, err = auth.NewSigned(signing)
	}
	if err != nil {
		add("auth.secret", "auth.secret_file", "%w", err)
	}
	need(PolicySigned, "auth.secret", " (or set auth.secret_file)", len(signing) > 0 || err != nil)

	verifying, err := a.JWTKeys()
	if err != nil {
		add("auth.jwt_keys_file", "auth.jwt_secret", "%w", err)
	}
	need(PolicyJWT, "auth.jwt_keys_file", " (or set auth.jwks_url, auth.jwt_secret or auth.jwt_secret_file)",
		len(verifying) > 0 || a.JWKSURL != "" || err != nil)
	need(PolicyCallback, "auth.callback_url", "", a.CallbackURL != "")
}

// checkAdmin wants a token for a listener that others can reach.
func (c Config) checkAdmin(add adder) {
	token, err := c.Admin.ReadToken()
	if err != nil {
		add("admin.token_file", "admin.token", "%w", err)
		return
	}
	if c.Admin.Addr != "" && !IsLoopback(c.Admin.Addr) && token == "" {
		add("admin.token", "admin.addr", "is required because admin.addr (%s, %s) is not a loopback address",
			c.Admin.Addr, c.Origin("admin.addr"))
	}
}

// SecretFiles are the files whose content may change while the server runs: keys and secrets.
func (a Auth) SecretFiles() []string {
	return slices.DeleteFunc([]string{a.KeysFile, a.SecretFile, a.JWTSecretFile, a.JWTKeysFile}, func(s string) bool { return s == "" })
}
