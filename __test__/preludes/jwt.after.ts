if (token.split('.').length !== 3) throw new Error('not a JWT');
if (!JSON.stringify(payload).includes(serviceId)) throw new Error(JSON.stringify(payload));
