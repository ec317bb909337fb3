if (service?.id !== 'my-service' || service.port !== 50051) throw new Error(JSON.stringify(service));
