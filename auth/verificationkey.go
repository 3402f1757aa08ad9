package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// VerificationKey verifies tokens by one algorithm. Because the key decides on the algorithm, a public key can never
// be taken for the secret of a symmetric one.
type VerificationKey struct {
	id        string // "kid"; "" fits all tokens
	algorithm string
	key       any
}

// equal reports whether both verify the same tokens. Keys that cannot be compared are not equal.
func (k VerificationKey) equal(other VerificationKey) bool {
	public, ok := k.key.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.id == other.id && k.algorithm == other.algorithm && public.Equal(other.key)
}

// Bounds on RSA moduli, in bits: shorter ones can be broken, longer ones cost milliseconds for each token.
const (
	minRSA = 2048
	maxRSA = 8192
)

var (
	errKeyKind  = errors.New("not a public key for RS256 (RSA, 2048 to 8192 bits), ES256 (P-256) or EdDSA (Ed25519)")
	errPEM      = errors.New("no PEM block PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE")
	errPrivate  = errors.New("this is a private key, which the server must not have: use the public one (openssl pkey -pubout)")
	errSymmetry = errors.New("this is a PEM file, not a secret: public keys belong to auth.jwt_keys_file")
)

// SecretKey returns a key for HS256, of at least MinSecret bytes.
func SecretKey(secret string) (VerificationKey, error) {
	if strings.Contains(secret, "-----BEGIN") {
		return VerificationKey{}, errSymmetry
	}
	if len(secret) < MinSecret {
		return VerificationKey{}, fmt.Errorf("the secret has less than %d characters", MinSecret)
	}
	return VerificationKey{algorithm: algHS256, key: []byte(secret)}, nil
}

// PublicKeys reads the public keys of a PEM file, one or more. Certificates count by their key alone.
func PublicKeys(data []byte) ([]VerificationKey, error) {
	var keys []VerificationKey
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		public, err := publicKey(block)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", len(keys)+1, err)
		}
		k, err := keyFor(public)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", len(keys)+1, err)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errPEM
	}
	return keys, nil
}

func publicKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return c.PublicKey, nil
	}
	if strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return nil, errPrivate
	}
	return nil, errPEM
}

// keyFor returns the key with the one algorithm that fits its kind.
func keyFor(public any) (VerificationKey, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits >= minRSA && bits <= maxRSA && k.E > 1 {
			return VerificationKey{algorithm: algRS256, key: k}, nil
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return VerificationKey{algorithm: algES256, key: k}, nil
		}
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			return VerificationKey{algorithm: algEdDSA, key: k}, nil
		}
	}
	return VerificationKey{}, errKeyKind
}
