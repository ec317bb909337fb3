if (decrypted.toString() !== data) throw new Error(`decrypted ${String(decrypted)}`);
